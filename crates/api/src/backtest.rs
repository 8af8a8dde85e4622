//! What a pipeline would have written over a span of history, row by row as it is found.
//!
//! Each line says what it is: `{"row": {…}}` is a row of the pipeline's stream, `{"late": {…}}` one of its stream of late
//! rows, `{"broken": {…}}` a row that an expression has no value for, and the last line is `{"end": {…}}`, or `{"error": "…"}` with the reason for which there is no more.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use springhouse_engine::BacktestOf;
use springhouse_ingest::row_as_json;
use springhouse_lake::{Backtest, BacktestPart, BacktestRequest, LakeError};
use springhouse_model::{ErrorClass, NameError, StreamName};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{JsonBody, parse_time};
use crate::problem::Problem;
use crate::rows::{Rows, json_keys};
use crate::sql::lake_problem;
use crate::state::App;
use crate::statements::engine_problem;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestDraft {
    /// A pipeline or an alert rule that there is; or a `statement`.
    #[serde(default)]
    name: Option<String>,
    /// A CREATE PIPELINE or CREATE ALERT statement, or its SELECT alone.
    #[serde(default)]
    #[schema(example = "SELECT ts, device, temperature FROM climate WHERE temperature > 30")]
    statement: Option<String>,
    /// Rows with a `ts` from here on.
    #[schema(example = "2026-01-01T00:00:00Z")]
    from: String,
    /// Exclusive.
    #[schema(example = "2026-01-02T00:00:00Z")]
    to: String,
}

impl BacktestDraft {
    fn of(&self) -> Result<BacktestOf, Problem> {
        match (&self.name, &self.statement) {
            (Some(name), None) => {
                let name: Result<StreamName, NameError> = name.parse();
                let problem = |error: NameError| Problem::bad_request("invalid_name", error.to_string());
                name.map(BacktestOf::Pipeline).map_err(problem)
            }
            (None, Some(sql)) => Ok(BacktestOf::Statement(sql.clone())),
            _ => Err(Problem::bad_request("invalid_query", "expected either `name` or `statement`")
                .hint("`name` is a pipeline that there is, `statement` one that may be")),
        }
    }
}

/// Runs a pipeline over the history of its source and creates nothing.
#[utoipa::path(post, path = "/api/v1/pipelines/backtest", tag = "pipelines", request_body = BacktestDraft,
    responses((status = 200, description = "A line for each row, and a last one",
        body = Object, content_type = "application/x-ndjson")))]
pub(crate) async fn run(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<BacktestDraft>,
) -> Result<Response, Problem> {
    let (from, to) = (parse_time("from", &draft.from)?, parse_time("to", &draft.to)?);
    if from >= to {
        return Err(Problem::bad_request("invalid_query", "`from` is not before `to`"));
    }
    let tenant = caller.tenant().clone();
    let plan = app.engine.backtest_plan(&tenant, draft.of()?).await.map_err(engine_problem)?;
    let request = BacktestRequest { tenant, plan, from, to };
    let backtest = app.lake.backtest(request).await.map_err(lake_problem)?;
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(lines(backtest))).into_response())
}

/// What has been written, and how.
struct Lines {
    backtest: Backtest,
    row_keys: Vec<Vec<u8>>,
    late_keys: Vec<Vec<u8>>,
    rows: u64,
    late: u64,
    broken: u64,
}

fn lines(backtest: Backtest) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    let (row_keys, late_keys) = (json_keys(&backtest.schema), json_keys(&backtest.late_schema));
    let lines = Lines { backtest, row_keys, late_keys, rows: 0, late: 0, broken: 0 };
    stream::unfold(Some(lines), |lines| async move {
        let mut lines = lines?;
        let part = match lines.backtest.next().await {
            Some(Ok(part)) => part,
            Some(Err(error)) => return Some((lines.broken(&error), None)),
            None => return Some((lines.broken(&LakeError::Interrupted), None)),
        };
        let is_end = matches!(part, BacktestPart::End { .. });
        let written = lines.write(&part).map_err(std::io::Error::other);
        let rest = if is_end || written.is_err() { None } else { Some(lines) };
        Some((written, rest))
    })
}

impl Lines {
    fn write(&mut self, part: &BacktestPart) -> Result<Bytes, arrow::error::ArrowError> {
        let (word, keys, batch) = match part {
            BacktestPart::Rows(batch) => ("row", &self.row_keys, batch),
            BacktestPart::Late(batch) => ("late", &self.late_keys, batch),
            BacktestPart::End { scanned } => {
                let Lines { rows, late, broken, .. } = self;
                let end = json!({ "rows": rows, "late": late, "broken": broken, "scanned": scanned });
                return Ok(format!("{}\n", json!({ "end": end })).into());
            }
            BacktestPart::Broken(broken) => {
                self.broken += 1;
                let row = row_as_json(&broken.row, 0);
                let row: Value = serde_json::from_slice(&row).unwrap_or_default();
                return Ok(format!("{}\n", json!({ "broken": { "why": broken.why, "row": row } })).into());
            }
        };
        let rows = Rows::new(batch)?;
        let mut out = Vec::with_capacity(rows.len() * 64);
        for row in 0..rows.len() {
            out.extend_from_slice(format!("{{\"{word}\":").as_bytes());
            rows.write_object(keys, row, &mut out);
            out.extend_from_slice(b"}\n");
        }
        match part {
            BacktestPart::Late(_) => self.late += rows.len() as u64,
            _ => self.rows += rows.len() as u64,
        }
        Ok(out.into())
    }

    /// The last line of an answer whose beginning has gone out: why there is no more.
    fn broken(&self, error: &LakeError) -> Result<Bytes, std::io::Error> {
        tracing::warn!(%error, "a backtest failed while its rows were sent");
        // What is not for the person who asked is in the hub's log.
        let detail = match error.class() {
            ErrorClass::User => error.to_string(),
            _ => "the backtest broke off; hint: the hub's log has the cause".to_owned(),
        };
        Ok(format!("{}\n", json!({ "error": detail })).into())
    }
}
