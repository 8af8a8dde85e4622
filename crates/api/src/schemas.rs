//! The schema of a stream: read as JSON Schema, changed by a version that the old readings still fit.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use springhouse_ingest::RegistryError;
use springhouse_model::StreamName;
use springhouse_schema::Schema;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{At, JsonBody};
use crate::problem::Problem;
use crate::state::App;
use crate::streams::{self, StreamColumn, columns_of};

#[derive(Serialize, ToSchema)]
pub(crate) struct SchemaView {
    stream: String,
    version: u32,
    /// The latest version.
    #[schema(value_type = Object)]
    json_schema: serde_json::Value,
    /// All versions, oldest first.
    versions: Vec<SchemaVersion>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SchemaVersion {
    version: u32,
    /// Properties that are not listed are allowed, and the schema grows by them.
    additional: bool,
    columns: Vec<StreamColumn>,
    #[schema(value_type = Object)]
    json_schema: serde_json::Value,
}

/// The schema of a stream, with its earlier versions.
#[utoipa::path(get, path = "/api/v1/streams/{name}/schema", tag = "streams", params(("name" = String, Path)),
    responses((status = 200, body = SchemaView)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
) -> Result<Json<SchemaView>, Problem> {
    let entry = streams::find(&app, &caller, &name)?;
    let versions = app.meta.schemas(&entry.key).await?;
    Ok(Json(SchemaView {
        stream: name.to_string(),
        version: entry.schema.version,
        json_schema: entry.schema.to_json_schema(),
        versions: versions
            .into_iter()
            .map(|schema| SchemaVersion {
                version: schema.version,
                additional: schema.additional,
                columns: columns_of(&schema),
                json_schema: schema.to_json_schema(),
            })
            .collect(),
    }))
}

/// Gives a stream a new version of its schema. Its readings must still fit.
#[utoipa::path(put, path = "/api/v1/streams/{name}/schema", tag = "streams", params(("name" = String, Path)),
    request_body(content = Object, description = "A JSON Schema"),
    responses((status = 200, body = SchemaView), (status = 409, description = "Earlier readings would not fit")))]
pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    At(name): At<StreamName>,
    JsonBody(json_schema): JsonBody<serde_json::Value>,
) -> Result<Json<SchemaView>, Problem> {
    let key = streams::find(&app, &caller, &name)?.key.clone();
    let schema = parse_json_schema(&json_schema)?;
    app.ingest.registry().put_schema(&key, schema).await.map_err(registry_problem)?;
    show(State(app), caller, At(name)).await
}

pub(crate) fn parse_json_schema(json_schema: &serde_json::Value) -> Result<Schema, Problem> {
    Schema::from_json_schema(json_schema)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_schema", error.to_string()))
}

pub(crate) fn registry_problem(error: RegistryError) -> Problem {
    match error {
        RegistryError::Meta(error) => Problem::from(error),
        RegistryError::NoStream { stream } => Problem::not_found("stream", stream.name),
        RegistryError::Incompatible { .. } => Problem::conflict("incompatible_schema", error.to_string()),
    }
}
