//! The versions that a pipeline's statement has had, and the way back to one of them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use springhouse_engine::statement::Statement;
use springhouse_meta::{FunctionDefinition, PipelineVersion};
use springhouse_model::{StreamName, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::{At, JsonBody, Params};
use crate::pipelines::{ChangeView, ChangedView, find};
use crate::problem::Problem;
use crate::state::App;
use crate::statements;

const VERSIONS_DEFAULT: u32 = 100;
const VERSIONS_MAX: u32 = 1_000;

#[derive(Serialize, ToSchema)]
pub(crate) struct VersionView {
    version: u32,
    sql: String,
    /// By which definitions of functions it went.
    functions: Vec<FunctionDefinitionView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Who wrote it, if known.
    by: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionDefinitionView {
    name: String,
    version: u32,
    sql: String,
}

impl From<FunctionDefinition> for FunctionDefinitionView {
    fn from(definition: FunctionDefinition) -> FunctionDefinitionView {
        let FunctionDefinition { name, version, sql } = definition;
        FunctionDefinitionView { name, version, sql }
    }
}

impl From<PipelineVersion> for VersionView {
    fn from(version: PipelineVersion) -> VersionView {
        let PipelineVersion { version, sql, functions, created_at, by } = version;
        let functions = functions.into_iter().map(FunctionDefinitionView::from).collect();
        VersionView { version, sql, functions, created_at, by }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionParams {
    /// 100 when left out, at most 1000.
    limit: Option<u32>,
}

/// The statements that a pipeline or an alert rule has had, the present one first.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/versions", tag = "pipelines",
    params(("name" = String, Path), VersionParams), responses((status = 200, body = [VersionView])))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
    Params(params): Params<VersionParams>,
) -> Result<Json<Vec<VersionView>>, Problem> {
    find(&app, &caller, name.as_str()).await?;
    let limit = params.limit.unwrap_or(VERSIONS_DEFAULT).min(VERSIONS_MAX);
    let versions = app.meta.pipeline_versions(caller.tenant(), name.as_str(), limit).await?;
    Ok(Json(versions.into_iter().map(VersionView::from).collect()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackDraft {
    /// The version before the present one when left out.
    #[serde(default)]
    version: Option<u32>,
    /// Only tell what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Makes the statement of an older version the present one, as another version.
#[utoipa::path(post, path = "/api/v1/pipelines/{name}/rollback", tag = "pipelines", request_body = RollbackDraft,
    params(("name" = String, Path)), responses((status = 200, body = ChangedView)))]
pub(crate) async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
    JsonBody(draft): JsonBody<RollbackDraft>,
) -> Result<Response, Problem> {
    find(&app, &caller, name.as_str()).await?;
    let statement = Statement::RollbackPipeline { name: name.clone(), version: draft.version };
    if draft.dry_run {
        let change = app.engine.foresee(caller.tenant(), &statement).await;
        return Ok(Json(ChangeView::from(change.map_err(statements::engine_problem)?)).into_response());
    }
    let outcome = statements::execute(&app, &caller, &statement).await?;
    let back = ChangedView::after(&app, &caller, name.as_str(), outcome).await?;
    Ok(Json(back).into_response())
}
