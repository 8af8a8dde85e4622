//! What a pipeline would have done over the last minutes, before it is created.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use springhouse_engine::{PreviewWish, Sample};
use springhouse_model::StreamName;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::problem::Problem;
use crate::rows::{ColumnView, columns_of, raw_rows};
use crate::sql::took_ms;
use crate::state::App;
use crate::statements::engine_problem;
use crate::steps::{StepView, step_views};

const MINUTES_MAX: u32 = 24 * 60;
const ROWS_MAX: usize = 1_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewDraft {
    /// A CREATE PIPELINE or CREATE ALERT statement, or its SELECT alone.
    sql: String,
    /// How far back; 10 when left out, at most one day.
    #[serde(default)]
    minutes: Option<u32>,
    /// At most 1000 rows.
    #[serde(default)]
    limit: Option<usize>,
    /// Rows in the place of the last minutes, by stream: objects with `ts`, `device` and `site` beside the properties.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, Vec<Object>>>)]
    sample: Option<BTreeMap<StreamName, Vec<Box<RawValue>>>>,
    /// Whether to show what each step hands on, too.
    #[serde(default)]
    steps: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewView {
    columns: Vec<ColumnView>,
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Box<RawValue>,
    /// Rows that were read.
    scanned: u64,
    /// Rows that would have come too late.
    late: u64,
    /// Rows that an expression has no value for; a pipeline puts them into quarantine.
    broken: u64,
    /// What it says of the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "division by zero; hint: divide by nullif(x, 0), which gives null instead")]
    why_broken: Option<String>,
    took_ms: f64,
    /// From the streams that it reads to its last columns; only when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepView>,
}

/// Runs a statement over the last minutes without creating anything.
#[utoipa::path(post, path = "/api/v1/pipelines/preview", tag = "pipelines", request_body = PreviewDraft,
    responses((status = 200, body = PreviewView)))]
pub(crate) async fn run(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<PreviewDraft>,
) -> Result<Json<PreviewView>, Problem> {
    let started = Instant::now();
    let minutes = draft.minutes.unwrap_or(10).clamp(1, MINUTES_MAX);
    let limit = draft.limit.unwrap_or(100).clamp(1, ROWS_MAX);
    let sample = draft.sample.map(|sample| sample.into_iter().map(sample_of).collect());
    let wish = PreviewWish { minutes, sample, limit, steps: draft.steps };
    let preview = app.engine.preview(caller.tenant(), &draft.sql, wish).await.map_err(engine_problem)?;
    Ok(Json(PreviewView {
        columns: columns_of(&preview.schema),
        rows: raw_rows(&preview.batches, limit)?,
        scanned: preview.scanned,
        late: preview.late,
        broken: preview.broken,
        why_broken: preview.why_broken,
        took_ms: took_ms(started),
        steps: step_views(preview.steps)?,
    }))
}

/// As the lines that a file would have.
fn sample_of((stream, rows): (StreamName, Vec<Box<RawValue>>)) -> Sample {
    let lines: Vec<String> = rows.iter().map(|row| row.get().replace(['\n', '\r'], " ")).collect();
    Sample { stream, lines: lines.join("\n") }
}
