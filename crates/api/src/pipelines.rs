//! Pipelines and alert rules: made from a statement, watched, paused, dropped.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use springhouse_engine::PipelineStatus;
use springhouse_engine::statement::Statement;
use springhouse_meta::{PipelineEntry, PipelineKind};
use springhouse_model::{StreamName, Timestamp};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{At, JsonBody};
use crate::problem::Problem;
use crate::state::App;
use crate::statements;

#[derive(Serialize, ToSchema)]
pub(crate) struct PipelineView {
    #[schema(example = "hourly")]
    name: String,
    /// pipeline or alert
    #[schema(example = "pipeline")]
    kind: &'static str,
    /// Of an alert: info, warning or critical.
    severity: Option<String>,
    /// The stream that it writes.
    into: String,
    sql: String,
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(flatten)]
    status: StatusView,
}

/// How a pipeline is doing.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct StatusView {
    /// running, paused or failed
    #[schema(example = "running")]
    state: String,
    /// Why it failed.
    error: Option<String>,
    rows_in: u64,
    rows_out: u64,
    /// Rows that came after their window was closed; they are in the stream `<name>.late`.
    late: u64,
    /// Rows per second over the last seconds.
    rate_in: f64,
    /// Records of the log that it has not read.
    lag_records: u64,
    /// How long ago the oldest of these was appended, in milliseconds.
    lag_ms: f64,
    /// All windows before this time are closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    watermark: Option<Timestamp>,
    /// Memory of windows that are open.
    state_bytes: u64,
    /// Seconds that it has computed for since it was started or resumed.
    busy_seconds: f64,
}

impl From<PipelineStatus> for StatusView {
    fn from(status: PipelineStatus) -> StatusView {
        StatusView {
            state: status.state.as_str().to_owned(),
            error: status.error,
            rows_in: status.rows_in,
            rows_out: status.rows_out,
            late: status.late,
            rate_in: status.rate_in,
            lag_records: status.lag_records,
            lag_ms: status.lag_us as f64 / 1_000.0,
            watermark: status.watermark,
            state_bytes: status.state_bytes,
            busy_seconds: status.busy.as_secs_f64(),
        }
    }
}

fn view(entry: PipelineEntry, status: Option<PipelineStatus>) -> PipelineView {
    let (kind, severity) = match entry.kind {
        PipelineKind::Pipeline => ("pipeline", None),
        PipelineKind::Alert { severity } => ("alert", Some(severity.to_string())),
    };
    PipelineView {
        name: entry.name,
        kind,
        severity,
        into: entry.into.to_string(),
        sql: entry.sql,
        version: entry.version,
        created_at: entry.created_at,
        status: status.map(StatusView::from).unwrap_or_default(),
    }
}

/// All pipelines and alert rules.
#[utoipa::path(get, path = "/api/v1/pipelines", tag = "pipelines",
    responses((status = 200, body = [PipelineView])))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<PipelineView>>, Problem> {
    let mut statuses = app.engine.status(caller.tenant()).await;
    let entries = app.meta.pipelines(Some(caller.tenant())).await?;
    let views = entries.into_iter().map(|entry| {
        let found = statuses.iter().position(|status| status.name == entry.name);
        view(entry, found.map(|index| statuses.swap_remove(index)))
    });
    Ok(Json(views.collect()))
}

/// One pipeline or alert rule.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PipelineView)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<Json<PipelineView>, Problem> {
    find(&app, &caller, &name).await.map(Json)
}

/// How a pipeline is doing.
#[utoipa::path(get, path = "/api/v1/pipelines/{name}/status", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = StatusView)))]
pub(crate) async fn status(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<Json<StatusView>, Problem> {
    Ok(Json(find(&app, &caller, &name).await?.status))
}

async fn find(app: &App, caller: &Caller, name: &str) -> Result<PipelineView, Problem> {
    let entry = app.meta.pipeline(caller.tenant(), name).await?;
    let entry = entry.ok_or_else(|| Problem::not_found("pipeline", name))?;
    let statuses = app.engine.status(caller.tenant()).await;
    Ok(view(entry, statuses.into_iter().find(|status| status.name == name)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineDraft {
    /// A CREATE PIPELINE or CREATE ALERT statement.
    #[schema(example = "CREATE ALERT hot SEVERITY critical AS SELECT ts, device, temperature FROM climate \
        WHERE temperature > 30")]
    sql: String,
}

/// Creates a pipeline or an alert rule from its statement, and starts it.
#[utoipa::path(post, path = "/api/v1/pipelines", tag = "pipelines", request_body = PipelineDraft,
    responses((status = 201, body = PipelineView)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<PipelineDraft>,
) -> Result<(StatusCode, Json<PipelineView>), Problem> {
    let statement = statements::parse_one(&draft.sql)?;
    let name = match &statement {
        Statement::CreatePipeline(pipeline) => pipeline.name.to_string(),
        Statement::CreateAlert(alert) => alert.name.to_string(),
        other => {
            let detail =
                format!("the statement is {}, expected CREATE PIPELINE or CREATE ALERT", other.verb());
            return Err(Problem::bad_request("invalid_sql", detail)
                .hint("CREATE PIPELINE name INTO stream AS SELECT …"));
        }
    };
    statements::execute(&app, &caller, &statement).await?;
    Ok((StatusCode::CREATED, Json(find(&app, &caller, &name).await?)))
}

/// Stops and forgets a pipeline or an alert rule; the stream that it wrote stays.
#[utoipa::path(delete, path = "/api/v1/pipelines/{name}", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<StatusCode, Problem> {
    let found = find(&app, &caller, name.as_str()).await?;
    let statement = match found.kind {
        "alert" => Statement::DropAlert { name, if_exists: false },
        _ => Statement::DropPipeline { name, if_exists: false },
    };
    statements::execute(&app, &caller, &statement).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops reading; what is open stays as it is.
#[utoipa::path(post, path = "/api/v1/pipelines/{name}/pause", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PipelineView)))]
pub(crate) async fn pause(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<Json<PipelineView>, Problem> {
    find(&app, &caller, name.as_str()).await?;
    statements::execute(&app, &caller, &Statement::PausePipeline { name: name.clone() }).await?;
    find(&app, &caller, name.as_str()).await.map(Json)
}

/// Goes on where it was paused.
#[utoipa::path(post, path = "/api/v1/pipelines/{name}/resume", tag = "pipelines", params(("name" = String, Path)),
    responses((status = 200, body = PipelineView)))]
pub(crate) async fn resume(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<Json<PipelineView>, Problem> {
    find(&app, &caller, name.as_str()).await?;
    statements::execute(&app, &caller, &Statement::ResumePipeline { name: name.clone() }).await?;
    find(&app, &caller, name.as_str()).await.map(Json)
}
