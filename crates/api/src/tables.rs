//! Reference tables: what is in them, where it comes from, and the rows of those that are given them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use springhouse_engine::TableStatus;
use springhouse_engine::statement::{RowFormat, Statement};
use springhouse_model::{StreamName, Timestamp};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::At;
use crate::problem::Problem;
use crate::state::App;
use crate::statements::{self, engine_problem};
use crate::streams::type_word;

#[derive(Serialize, ToSchema)]
pub(crate) struct TableView {
    #[schema(example = "rooms")]
    name: String,
    sql: String,
    columns: Vec<TableColumnView>,
    /// The columns by which rows are found.
    key: Vec<String>,
    /// The column that says since when a row holds; without one a key has one row.
    valid_from: Option<String>,
    /// file, query or given
    #[schema(example = "file")]
    source: &'static str,
    /// The file that is read.
    place: Option<String>,
    /// csv, ndjson or parquet
    format: Option<&'static str>,
    /// How often the source is read again.
    refresh_seconds: Option<f64>,
    /// Of the rows that hold at present; null before the first.
    version: Option<u32>,
    rows: u64,
    /// In memory.
    bytes: u64,
    /// Versions that are kept for pipelines that are behind, and what their files take.
    versions: usize,
    versions_bytes: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its rows became others.
    #[schema(value_type = Option<String>, format = DateTime)]
    changed_at: Option<Timestamp>,
    /// When the source was last read, or rows were sent, with success since the hub was started.
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<Timestamp>,
    /// Why the last attempt has failed; the rows before it hold.
    error: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TableColumnView {
    name: String,
    /// bool, int, float, text or time
    #[serde(rename = "type")]
    ty: &'static str,
    required: bool,
    unit: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LoadedView {
    /// Whether the rows are others than before.
    changed: bool,
    version: Option<u32>,
    rows: u64,
}

impl From<TableStatus> for TableView {
    fn from(status: TableStatus) -> TableView {
        let source = match (&status.place, status.is_query) {
            (Some(_), _) => "file",
            (None, true) => "query",
            (None, false) => "given",
        };
        let columns = status.columns.into_iter().map(|column| TableColumnView {
            name: column.name,
            ty: type_word(column.ty),
            required: column.required,
            unit: column.unit,
        });
        TableView {
            name: status.name.to_string(),
            sql: status.sql,
            columns: columns.collect(),
            key: status.key,
            valid_from: status.valid_from,
            source,
            place: status.place,
            format: status.format.map(RowFormat::as_str),
            refresh_seconds: status.refresh_us.map(|micros| micros as f64 / 1e6),
            version: status.version,
            rows: status.rows,
            bytes: status.bytes,
            versions: status.versions,
            versions_bytes: status.versions_bytes,
            created_at: status.created_at,
            changed_at: status.changed_at,
            checked_at: status.checked_at,
            error: status.error,
        }
    }
}

/// All reference tables.
#[utoipa::path(get, path = "/api/v1/tables", tag = "tables", responses((status = 200, body = [TableView])))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Json<Vec<TableView>> {
    let tables = app.engine.tables().status(caller.tenant());
    Json(tables.into_iter().map(TableView::from).collect())
}

/// One reference table.
#[utoipa::path(get, path = "/api/v1/tables/{name}", tag = "tables", params(("name" = String, Path)),
    responses((status = 200, body = TableView)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<Json<TableView>, Problem> {
    find(&app, &caller, &name).map(Json)
}

fn find(app: &App, caller: &Caller, name: &str) -> Result<TableView, Problem> {
    let tables = app.engine.tables().status(caller.tenant());
    let found = tables.into_iter().find(|table| table.name.as_str() == name);
    found.map(TableView::from).ok_or_else(|| Problem::not_found("table", name))
}

/// Replaces all rows of a table that was created without a source. The body is CSV, NDJSON or Parquet, as its
/// `Content-Type` says; what does not fit is refused whole.
#[utoipa::path(put, path = "/api/v1/tables/{name}/rows", tag = "tables", params(("name" = String, Path)),
    request_body(content((String = "text/csv"), (Object = "application/x-ndjson"),
        (String = "application/vnd.apache.parquet"))),
    responses((status = 200, body = LoadedView)))]
pub(crate) async fn load(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<LoadedView>, Problem> {
    let format = format_of(&headers)?;
    // Answered before the rows are looked at.
    find(&app, &caller, &name)?;
    let key: StreamName = name.parse()?;
    let loaded = app.engine.load_table(caller.tenant(), &key, body, format).await;
    loaded_view(&app, &caller, &name, loaded.map_err(engine_problem)?)
}

/// Reads the source of a table again.
#[utoipa::path(post, path = "/api/v1/tables/{name}/refresh", tag = "tables", params(("name" = String, Path)),
    responses((status = 200, body = LoadedView)))]
pub(crate) async fn refresh(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<Json<LoadedView>, Problem> {
    let before = find(&app, &caller, &name)?.version;
    statements::execute(&app, &caller, &Statement::RefreshTable { name: name.parse()? }).await?;
    let after = find(&app, &caller, &name)?;
    Ok(Json(LoadedView { changed: before != after.version, version: after.version, rows: after.rows }))
}

/// Drops a table that nothing looks up.
#[utoipa::path(delete, path = "/api/v1/tables/{name}", tag = "tables", params(("name" = String, Path)),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<StatusCode, Problem> {
    let statement = Statement::DropTable { name: name.parse()?, if_exists: false };
    statements::execute(&app, &caller, &statement).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn loaded_view(
    app: &App,
    caller: &Caller,
    name: &str,
    version: Option<u32>,
) -> Result<Json<LoadedView>, Problem> {
    let table = find(app, caller, name)?;
    Ok(Json(LoadedView { changed: version.is_some(), version: table.version, rows: table.rows }))
}

fn format_of(headers: &HeaderMap) -> Result<RowFormat, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "text/csv" => Ok(RowFormat::Csv),
        "application/x-ndjson" | "application/ndjson" | "application/json" => Ok(RowFormat::Ndjson),
        "application/vnd.apache.parquet" => Ok(RowFormat::Parquet),
        other => {
            let detail = format!("rows cannot be read as `{other}`");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_format", detail)
                .hint("Content-Type: text/csv, application/x-ndjson or application/vnd.apache.parquet"))
        }
    }
}
