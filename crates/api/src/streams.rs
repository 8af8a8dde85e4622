//! Streams: what there is, how it flows, and whether it may.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use springhouse_engine::statement::Statement;
use springhouse_meta::{
    Approval, DEFAULT_IDLE_US, DEFAULT_WATERMARK_DELAY_US, NewStream, Origin, StreamEntry,
};
use springhouse_model::{StreamKey, StreamName, TenantId, Timestamp};
use springhouse_schema::{Schema, is_system_column, value_type};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::devices::approval_word;
use crate::extract::{At, JsonBody};
use crate::problem::Problem;
use crate::schemas::{parse_json_schema, registry_problem};
use crate::state::App;
use crate::statements;

/// A day: windows would stay open for longer than anybody waits.
const WATERMARK_MAX_S: f64 = 86_400.0;

#[derive(Serialize, ToSchema)]
pub(crate) struct StreamView {
    #[schema(example = "meter")]
    name: String,
    /// pending, approved or refused
    #[schema(example = "approved")]
    state: &'static str,
    /// inferred from messages, declared, or derived by a pipeline
    #[schema(example = "inferred")]
    origin: &'static str,
    /// Which pipeline writes it.
    pipeline: Option<String>,
    schema_version: u32,
    columns: Vec<StreamColumn>,
    /// Rows that are kept.
    rows: u64,
    rows_per_minute: u64,
    /// Devices that have sent to it.
    devices: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_at: Option<Timestamp>,
    /// Of its files in the lake.
    bytes: u64,
    watermark_seconds: f64,
    /// The statement that declared it.
    sql: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StreamColumn {
    #[schema(example = "power")]
    name: String,
    /// bool, int, float, text or time
    #[serde(rename = "type")]
    #[schema(example = "float")]
    kind: &'static str,
    #[schema(example = "W")]
    unit: Option<String>,
    description: Option<String>,
    /// A row without it is refused.
    required: bool,
    /// Given by the hub and not by the device.
    system: bool,
}

pub(crate) fn columns_of(schema: &Schema) -> Vec<StreamColumn> {
    let arrow = schema.arrow();
    let columns = arrow.fields().iter().map(|column| {
        let name = column.name();
        let field = schema.field(name);
        StreamColumn {
            name: name.clone(),
            kind: value_type(column.data_type()).map_or("text", type_word),
            unit: field.and_then(|field| field.unit.clone()),
            description: field.and_then(|field| field.description.clone()),
            required: !column.is_nullable(),
            system: is_system_column(name),
        }
    });
    columns.collect()
}

pub(crate) const fn type_word(ty: springhouse_model::ValueType) -> &'static str {
    use springhouse_model::ValueType::{Bool, Float, Int, Text, Time};
    match ty {
        Bool => "bool",
        Int => "int",
        Float => "float",
        Text => "text",
        Time => "time",
    }
}

/// What is known of a tenant's streams beside their entries.
struct Facts {
    devices: HashMap<StreamName, u64>,
    newest: HashMap<StreamName, Timestamp>,
}

impl Facts {
    fn gather(app: &App, tenant: &TenantId) -> Facts {
        let mut devices: HashMap<StreamName, HashSet<springhouse_model::DeviceId>> = HashMap::new();
        let mut newest: HashMap<StreamName, Timestamp> = HashMap::new();
        for latest in app.lake.twin().all(tenant) {
            let at = newest.entry(latest.stream.clone()).or_insert(latest.ts);
            *at = latest.ts.max(*at);
            devices.entry(latest.stream).or_default().insert(latest.device);
        }
        let devices = devices.into_iter().map(|(stream, devices)| (stream, devices.len() as u64)).collect();
        Facts { devices, newest }
    }
}

fn view(app: &App, entry: &StreamEntry, facts: &Facts) -> StreamView {
    let pulse = app.pulse.stream(entry.id, app.clock.now());
    let size = app.lake.size_of(entry.id);
    let (origin, pipeline) = match &entry.origin {
        Origin::Inferred => ("inferred", None),
        Origin::Declared => ("declared", None),
        Origin::Derived { pipeline } => ("derived", Some(pipeline.clone())),
    };
    let name = &entry.key.name;
    StreamView {
        state: approval_word(entry.state),
        origin,
        pipeline,
        schema_version: entry.schema.version,
        columns: columns_of(&entry.schema),
        rows: size.rows,
        rows_per_minute: pulse.rows_per_minute,
        devices: facts.devices.get(name).copied().unwrap_or_default(),
        last_at: pulse.last_at.or_else(|| facts.newest.get(name).copied()),
        bytes: size.bytes,
        watermark_seconds: entry.watermark_delay_us as f64 / 1e6,
        sql: entry.sql.clone(),
        created_at: entry.created_at,
        name: name.to_string(),
    }
}

/// All streams of the tenant.
#[utoipa::path(get, path = "/api/v1/streams", tag = "streams", responses((status = 200, body = [StreamView])))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<StreamView>>, Problem> {
    let facts = Facts::gather(&app, caller.tenant());
    let entries = app.ingest.registry().streams(caller.tenant());
    let visible = entries.iter().filter(|entry| !is_internal(&entry.key.name));
    let mut views: Vec<_> = visible.map(|entry| view(&app, entry, &facts)).collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(views))
}

/// One stream.
#[utoipa::path(get, path = "/api/v1/streams/{name}", tag = "streams", params(("name" = String, Path)),
    responses((status = 200, body = StreamView)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<Json<StreamView>, Problem> {
    let entry = find(&app, &caller, &name)?;
    Ok(Json(view(&app, &entry, &Facts::gather(&app, caller.tenant()))))
}

pub(crate) fn find(app: &App, caller: &Caller, name: &StreamName) -> Result<Arc<StreamEntry>, Problem> {
    let key = StreamKey::new(caller.tenant().clone(), name.clone());
    let found = app.ingest.registry().entry(&key).filter(|_| !is_internal(name));
    found.ok_or_else(|| Problem::not_found("stream", name))
}

/// Streams of the hub itself, such as messages on their way to the quarantine inbox, begin with `_`.
pub(crate) fn is_internal(name: &StreamName) -> bool {
    name.as_str().starts_with('_')
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamDraft {
    #[schema(value_type = String, example = "meter")]
    name: StreamName,
    /// A JSON Schema of its payloads; without one the stream learns from its first messages.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    json_schema: Option<serde_json::Value>,
    /// How late a reading may be and still be in order; 5 when left out.
    #[serde(default)]
    watermark_seconds: Option<f64>,
}

/// Declares a stream.
#[utoipa::path(post, path = "/api/v1/streams", tag = "streams", request_body = StreamDraft,
    responses((status = 201, body = StreamView), (status = 409, description = "There is such a stream")))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<StreamDraft>,
) -> Result<(StatusCode, Json<StreamView>), Problem> {
    let key = StreamKey::new(caller.tenant().clone(), draft.name);
    if is_internal(&key.name) {
        let detail = format!("`{}` begins with `_`, which is kept for the hub itself", key.name);
        return Err(Problem::bad_request("invalid_name", detail));
    }
    if app.ingest.registry().entry(&key).is_some() {
        return Err(Problem::conflict("conflict", format!("stream `{}` exists already", key.name))
            .hint("PUT /api/v1/streams/{name}/schema changes its schema"));
    }
    let seconds = draft.watermark_seconds.unwrap_or(DEFAULT_WATERMARK_DELAY_US as f64 / 1e6);
    if !(0.0..=WATERMARK_MAX_S).contains(&seconds) {
        let detail = format!("`watermark_seconds` is {seconds}, expected 0 to {WATERMARK_MAX_S}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
    }
    let schema = match &draft.json_schema {
        Some(json_schema) => parse_json_schema(json_schema)?,
        None => Schema { additional: true, inferred: true, ..Schema::new(Vec::new()) },
    };
    let stream = NewStream {
        key,
        state: Approval::Approved,
        origin: Origin::Declared,
        schema,
        watermark_delay_us: (seconds * 1e6) as i64,
        idle_us: Some(DEFAULT_IDLE_US),
        retention_us: None,
        sql: None,
    };
    let entry = app.ingest.registry().create(stream).await.map_err(registry_problem)?;
    let view = view(&app, &entry, &Facts::gather(&app, caller.tenant()));
    Ok((StatusCode::CREATED, Json(view)))
}

/// Lets a stream that showed up by itself take part.
#[utoipa::path(post, path = "/api/v1/streams/{name}/approve", tag = "streams", params(("name" = String, Path)),
    responses((status = 200, body = StreamView)))]
pub(crate) async fn approve(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<Json<StreamView>, Problem> {
    set_state(&app, &caller, &name, Approval::Approved).await
}

/// Refuses a stream: what is sent to it goes to quarantine.
#[utoipa::path(post, path = "/api/v1/streams/{name}/refuse", tag = "streams", params(("name" = String, Path)),
    responses((status = 200, body = StreamView)))]
pub(crate) async fn refuse(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<Json<StreamView>, Problem> {
    set_state(&app, &caller, &name, Approval::Refused).await
}

async fn set_state(
    app: &App,
    caller: &Caller,
    name: &StreamName,
    state: Approval,
) -> Result<Json<StreamView>, Problem> {
    let key = find(app, caller, name)?.key.clone();
    let entry = app.ingest.registry().set_stream_state(&key, state).await.map_err(registry_problem)?;
    tracing::info!(state = approval_word(state), "the state of a stream has been changed");
    Ok(Json(view(app, &entry, &Facts::gather(app, caller.tenant()))))
}

/// Drops a stream with its readings. One that a pipeline writes or reads is in use.
#[utoipa::path(delete, path = "/api/v1/streams/{name}", tag = "streams", params(("name" = String, Path)),
    responses((status = 204), (status = 409, description = "A pipeline uses it")))]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<StatusCode, Problem> {
    find(&app, &caller, &name)?;
    // The engine knows which pipelines read it.
    statements::execute(&app, &caller, &Statement::DropStream { name, if_exists: false }).await?;
    Ok(StatusCode::NO_CONTENT)
}
