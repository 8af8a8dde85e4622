//! Alerts: the rules, what they fired, and who has seen it. Rules are made and dropped as pipelines are.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use springhouse_meta::{AlertEvent, AlertFilter, PipelineKind, PipelineState};
use springhouse_model::Timestamp;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::extract::{At, Params, parse_optional_time};
use crate::problem::Problem;
use crate::state::App;

const EVENTS_DEFAULT: u32 = 100;
const EVENTS_MAX: u32 = 1_000;

#[derive(Serialize, ToSchema)]
pub(crate) struct AlertsView {
    rules: Vec<RuleView>,
    /// Newest first.
    events: Vec<EventView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RuleView {
    name: String,
    /// info, warning or critical
    #[schema(example = "warning")]
    severity: String,
    sql: String,
    /// running, paused or failed
    #[schema(example = "running")]
    state: &'static str,
    /// How often it has fired.
    fired: u64,
    /// Firings that nobody has acknowledged.
    open: u64,
    /// Firings that are not over, of a rule with RESOLVE.
    firing: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EventView {
    id: String,
    alert: String,
    severity: String,
    /// What it fired for, such as a device.
    key: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The row that the rule's query gave.
    #[schema(value_type = Object)]
    row: serde_json::Value,
    /// When it was over; null while it is firing, and for rules without RESOLVE.
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    /// How many rows have fired until it was over, and 1 before; null for rules without RESOLVE.
    times: Option<u64>,
    /// Whether it has begun and is not over.
    firing: bool,
    /// Why it is over when no row has ended it: its rule was dropped, replaced or has lost its state.
    note: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    acknowledged_at: Option<Timestamp>,
    /// Who acknowledged it.
    by: Option<String>,
}

impl From<AlertEvent> for EventView {
    fn from(event: AlertEvent) -> EventView {
        EventView {
            firing: event.is_firing(),
            resolved_at: event.resolved_at,
            times: event.times,
            note: event.note,
            id: event.id,
            alert: event.alert,
            severity: event.severity.to_string(),
            key: event.key,
            at: event.at,
            row: event.row,
            acknowledged_at: event.acknowledged_at,
            by: event.acknowledged_by,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertParams {
    /// At most 1000.
    limit: Option<u32>,
    /// Only events before this time, to page backwards.
    before: Option<String>,
    /// Only what this rule fired.
    alert: Option<String>,
    /// Only what nobody has acknowledged.
    open: Option<bool>,
    /// Only what has begun and is not over.
    firing: Option<bool>,
}

/// The rules and what they fired.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertParams),
    responses((status = 200, body = AlertsView)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<AlertParams>,
) -> Result<Json<AlertsView>, Problem> {
    let filter = AlertFilter {
        alert: params.alert,
        open: params.open.unwrap_or_default(),
        firing: params.firing.unwrap_or_default(),
        before: parse_optional_time("before", params.before.as_deref())?,
    };
    let limit = params.limit.unwrap_or(EVENTS_DEFAULT).min(EVENTS_MAX);
    let events = app.meta.alerts(caller.tenant(), &filter, limit).await?;
    Ok(Json(AlertsView {
        rules: rules(&app, &caller).await?,
        events: events.into_iter().map(EventView::from).collect(),
    }))
}

async fn rules(app: &App, caller: &Caller) -> Result<Vec<RuleView>, Problem> {
    let counts = app.meta.alert_counts(caller.tenant()).await?;
    let pipelines = app.meta.pipelines(Some(caller.tenant())).await?;
    let rules = pipelines.into_iter().filter_map(|pipeline| {
        let PipelineKind::Alert { severity, .. } = pipeline.kind else { return None };
        let count = counts.iter().find(|count| count.alert == pipeline.name);
        Some(RuleView {
            severity: severity.to_string(),
            sql: pipeline.sql,
            state: match pipeline.state {
                PipelineState::Running => "running",
                PipelineState::Paused => "paused",
                PipelineState::Failed { .. } => "failed",
            },
            fired: count.map_or(0, |count| count.fired),
            open: count.map_or(0, |count| count.open),
            firing: count.map_or(0, |count| count.firing),
            last_at: count.map(|count| count.last_at),
            name: pipeline.name,
        })
    });
    Ok(rules.collect())
}

/// Records that somebody has seen an event; the first one stays on record.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts", params(("id" = String, Path)),
    responses((status = 200, body = EventView)))]
pub(crate) async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Json<EventView>, Problem> {
    let event = app.meta.acknowledge_alert(caller.tenant(), &id, &caller.name).await?;
    Ok(Json(EventView::from(event)))
}
