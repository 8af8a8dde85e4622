//! `/api/v1/sql`: one statement, answered in the form that the client accepts. JSON is for pages and is bounded;
//! NDJSON, CSV and Arrow are streamed and are not.

mod format;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use springhouse_engine::statement::Statement;
use springhouse_lake::{LakeError, QueryResult};
use springhouse_model::TenantId;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::problem::Problem;
use crate::rows::{ColumnView, JsonRows, columns_of};
use crate::state::App;
use crate::statements;
use format::{Encoder, Format};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlDraft {
    /// One statement. Streams are tables of their own names; so are `devices` and `twin`.
    #[schema(example = "SELECT device, avg(power) FROM meter GROUP BY device")]
    query: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SqlRows {
    columns: Vec<ColumnView>,
    /// Cells in the order of the columns.
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Box<RawValue>,
    row_count: usize,
    /// There are more rows; ask for NDJSON, CSV or Arrow to get all of them.
    truncated: bool,
    took_ms: f64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SqlDone {
    #[schema(example = "CREATE PIPELINE")]
    statement: &'static str,
    #[schema(example = "pipeline `hourly` runs")]
    message: String,
}

/// Runs one statement. A query needs `read`; a statement that changes something needs `write` and answers with what
/// it did.
#[utoipa::path(post, path = "/api/v1/sql", tag = "streams", request_body = SqlDraft,
    responses((status = 200, description = "Rows, or what a statement did", content(
        (SqlRows = "application/json"), (Object = "application/x-ndjson"), (String = "text/csv"),
        (String = "application/vnd.apache.arrow.stream")))))]
pub(crate) async fn run(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(draft): JsonBody<SqlDraft>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let statement = statements::parse_one(&draft.query)?;
    let Statement::Query(sql) = &statement else {
        let outcome = statements::execute(&app, &caller, &statement).await?;
        return Ok(
            Json(SqlDone { statement: statement.verb(), message: outcome.to_string() }).into_response()
        );
    };
    let format = Format::accepted(&headers)?;
    if format == Format::Json {
        let rows = collect(&app, caller.tenant(), sql).await?;
        return Ok(Json(SqlRows { took_ms: took_ms(started), ..rows }).into_response());
    }
    let result = app.lake.query(caller.tenant(), sql).await.map_err(lake_problem)?;
    let body = Body::from_stream(encoded(format, result)?);
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], body).into_response())
}

/// The answer of a query as the bytes of a body. An error in the middle cuts the body off, so that a client cannot take
/// a part for the whole.
fn encoded(
    format: Format,
    result: QueryResult,
) -> Result<impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static, Problem> {
    let encoder = Encoder::new(format, &result.schema).map_err(crate::rows::unwritable)?;
    let batches = result.batches.map(Some).chain(stream::once(async { None }));
    let chunks = batches.scan(Some(encoder), |encoder, batch| {
        let chunk = match (encoder.as_mut(), batch) {
            (None, _) => return std::future::ready(None),
            (Some(open), Some(Ok(batch))) => open.write(&batch).map_err(std::io::Error::other),
            (Some(_), Some(Err(error))) => {
                tracing::warn!(%error, "a query failed while its rows were sent");
                Err(std::io::Error::other(error))
            }
            (Some(_), None) => match encoder.take() {
                Some(open) => open.finish().map_err(std::io::Error::other),
                None => return std::future::ready(None),
            },
        };
        if chunk.is_err() {
            *encoder = None;
        }
        std::future::ready(Some(chunk))
    });
    Ok(chunks.filter(|chunk| std::future::ready(!matches!(chunk, Ok(bytes) if bytes.is_empty()))))
}

/// Runs a query and takes as many rows as fit into an answer; the rest is not computed.
async fn collect(app: &App, tenant: &TenantId, sql: &str) -> Result<SqlRows, Problem> {
    let mut result = app.lake.query(tenant, sql).await.map_err(lake_problem)?;
    let mut rows = JsonRows::new(app.options.rows_max);
    let mut truncated = false;
    while let Some(batch) = result.batches.next().await {
        if !rows.push(&batch.map_err(lake_problem)?)? {
            truncated = true;
            break;
        }
    }
    let (columns, row_count) = (columns_of(&result.schema), rows.len());
    Ok(SqlRows { columns, rows: rows.finish()?, row_count, truncated, took_ms: 0.0 })
}

pub(crate) fn lake_problem(error: LakeError) -> Problem {
    let code = match &error {
        LakeError::Query { .. } | LakeError::NotAQuery { .. } | LakeError::QueryTooLong { .. } => {
            "invalid_sql"
        }
        LakeError::NoSuchStream { .. } | LakeError::NoSuchProperty { .. } => {
            return Problem::new(StatusCode::NOT_FOUND, "not_found", error.to_string());
        }
        other => other.code(),
    };
    Problem::by_class(error.class(), code, "run the query", &error)
}

/// Milliseconds since then, to the microsecond.
pub(crate) fn took_ms(started: Instant) -> f64 {
    started.elapsed().as_micros() as f64 / 1_000.0
}
