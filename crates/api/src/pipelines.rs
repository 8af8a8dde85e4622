//! Pipelines and alert rules: made from a statement, watched, paused, dropped. Their versions have a file of their own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use springhouse_engine::statement::Statement;
use springhouse_engine::{Change, Outcome, PipelineStatus};
use springhouse_meta::{PipelineEntry, PipelineKind};
use springhouse_model::{StreamName, Timestamp};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{At, JsonBody};
use crate::functions::UsedFunctionView;
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
    /// By which definitions of functions it goes.
    functions: Vec<UsedFunctionView>,
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
    /// Rows that an expression has no value for; they are in quarantine with the reason `not_computed`.
    broken: u64,
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
            broken: status.broken,
            rate_in: status.rate_in,
            lag_records: status.lag_records,
            lag_ms: status.lag_us as f64 / 1_000.0,
            watermark: status.watermark,
            state_bytes: status.state_bytes,
            busy_seconds: status.busy.as_secs_f64(),
        }
    }
}

fn view(entry: PipelineEntry, mut status: Option<PipelineStatus>) -> PipelineView {
    let functions = status.as_mut().map(|status| std::mem::take(&mut status.functions)).unwrap_or_default();
    let (kind, severity) = match entry.kind {
        PipelineKind::Pipeline => ("pipeline", None),
        PipelineKind::Alert { severity, .. } => ("alert", Some(severity.to_string())),
    };
    PipelineView {
        name: entry.name,
        kind,
        severity,
        into: entry.into.to_string(),
        sql: entry.sql,
        version: entry.version,
        functions: functions.into_iter().map(UsedFunctionView::from).collect(),
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

/// What a statement has done to a pipeline, or would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// create, replace or unchanged
    #[schema(example = "replace")]
    change: &'static str,
    /// The operators that keep their state, because they and all before them compute what they did.
    #[schema(example = json!(["aggregate device, window_start"]))]
    keeps: Vec<String>,
    /// The operators that begin with the rows that they still need, as far as the log holds them.
    reads_again: Vec<String>,
    /// The operators that begin with the rows from here on.
    begins_empty: Vec<String>,
    /// The operators of the version before whose open windows are given up.
    gives_up: Vec<String>,
    /// The same in words.
    message: String,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> ChangeView {
        let message = change.to_string();
        let state = change.state;
        ChangeView {
            change: change.kind.as_str(),
            keeps: state.keeps,
            reads_again: state.reads_again,
            begins_empty: state.begins_empty,
            gives_up: state.gives_up,
            message,
        }
    }
}

/// A pipeline and what has been done to it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedView {
    #[serde(flatten)]
    pipeline: PipelineView,
    /// Missing when the statement had nothing to do.
    change: Option<ChangeView>,
}

impl ChangedView {
    /// The pipeline as it is after a statement.
    pub(crate) async fn after(
        app: &App,
        caller: &Caller,
        name: &str,
        outcome: Outcome,
    ) -> Result<ChangedView, Problem> {
        let change = match outcome {
            Outcome::Changed(change) => Some(ChangeView::from(change)),
            _ => None,
        };
        Ok(ChangedView { pipeline: find(app, caller, name).await?, change })
    }
}

pub(crate) async fn find(app: &App, caller: &Caller, name: &str) -> Result<PipelineView, Problem> {
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
    /// Take the place of what is there, whatever the statement says about that.
    #[serde(default)]
    replace: bool,
    /// Only tell what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Creates or replaces a pipeline or an alert rule by its statement, and starts it.
#[utoipa::path(post, path = "/api/v1/pipelines", tag = "pipelines", request_body = PipelineDraft,
    responses((status = 201, body = ChangedView),
        (status = 200, description = "What would be done (`dry_run`)", body = ChangeView)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<PipelineDraft>,
) -> Result<Response, Problem> {
    let mut statement = statements::parse_one(&draft.sql)?;
    let name = match &mut statement {
        Statement::CreatePipeline(pipeline) => {
            pipeline.or_replace |= draft.replace;
            pipeline.if_not_exists &= !draft.replace;
            pipeline.name.to_string()
        }
        Statement::CreateAlert(alert) => {
            alert.or_replace |= draft.replace;
            alert.if_not_exists &= !draft.replace;
            alert.name.to_string()
        }
        other => {
            let detail =
                format!("the statement is {}, expected CREATE PIPELINE or CREATE ALERT", other.verb());
            return Err(Problem::bad_request("invalid_sql", detail)
                .hint("CREATE PIPELINE name INTO stream AS SELECT …"));
        }
    };
    if draft.dry_run {
        let change = app.engine.foresee(caller.tenant(), &statement).await;
        return Ok(Json(ChangeView::from(change.map_err(statements::engine_problem)?)).into_response());
    }
    let outcome = statements::execute(&app, &caller, &statement).await?;
    let made = ChangedView::after(&app, &caller, &name, outcome).await?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
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
