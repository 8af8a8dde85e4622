//! Functions that people write or bring: what they compute, and which pipelines go by which of their definitions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use springhouse_engine::statement::Statement;
use springhouse_engine::{FunctionStatus, FunctionUser, UsedFunction};
use springhouse_model::Timestamp;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::{At, JsonBody, RawBody};
use crate::problem::Problem;
use crate::state::App;
use crate::statements::{self, engine_problem};
use crate::streams::type_word;

#[derive(Serialize, ToSchema)]
pub(crate) struct FunctionView {
    #[schema(example = "fahrenheit")]
    name: String,
    /// Counts the definitions that it has had.
    version: u32,
    sql: String,
    /// sql or wasm
    language: &'static str,
    /// The SHA-256 of the WebAssembly component that it is made of, in hexadecimal digits; null for SQL.
    component: Option<String>,
    /// How it is called; null when it cannot be.
    #[schema(example = "fahrenheit(celsius DOUBLE) RETURNS DOUBLE")]
    signature: Option<String>,
    parameters: Vec<ParameterView>,
    /// bool, int, float, text or time
    returns: Option<&'static str>,
    /// The functions that it calls, directly or through others.
    calls: Vec<String>,
    /// Those that call it.
    called_by: Vec<String>,
    /// Pipelines and alerts.
    used_by: Vec<UserView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it got this definition.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// Who wrote it, if known.
    by: Option<String>,
    /// Why it cannot be called.
    error: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ParameterView {
    name: String,
    /// bool, int, float, text or time
    #[serde(rename = "type")]
    ty: &'static str,
}

/// A pipeline or an alert that goes by a definition of a function.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserView {
    pipeline: String,
    /// Of the definition.
    version: u32,
    /// Whether that is the one that the function has.
    is_present: bool,
}

/// A function by whose definition a pipeline goes.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsedFunctionView {
    name: String,
    version: u32,
    /// The version that the function has, when its definition is another one: to create the pipeline again takes it.
    newer: Option<u32>,
}

impl From<UsedFunction> for UsedFunctionView {
    fn from(UsedFunction { name, version, newer }: UsedFunction) -> UsedFunctionView {
        UsedFunctionView { name, version, newer }
    }
}

impl From<FunctionStatus> for FunctionView {
    fn from(status: FunctionStatus) -> FunctionView {
        let parameters = status.parameters.into_iter();
        let user =
            |FunctionUser { pipeline, version, is_present }| UserView { pipeline, version, is_present };
        FunctionView {
            name: status.name,
            version: status.version,
            sql: status.sql,
            language: if status.component.is_some() { "wasm" } else { "sql" },
            component: status.component.map(|digest| digest.to_string()),
            signature: status.signature,
            parameters: parameters.map(|of| ParameterView { name: of.name, ty: type_word(of.ty) }).collect(),
            returns: status.returns.map(type_word),
            calls: status.calls,
            called_by: status.called_by,
            used_by: status.used_by.into_iter().map(user).collect(),
            created_at: status.created_at,
            changed_at: status.changed_at,
            by: status.by,
            error: status.error,
        }
    }
}

/// All functions that people have written, by name.
#[utoipa::path(get, path = "/api/v1/functions", tag = "functions",
    responses((status = 200, body = [FunctionView])))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<FunctionView>>, Problem> {
    let functions = app.engine.function_status(caller.tenant()).await.map_err(engine_problem)?;
    Ok(Json(functions.into_iter().map(FunctionView::from).collect()))
}

/// One function.
#[utoipa::path(get, path = "/api/v1/functions/{name}", tag = "functions", params(("name" = String, Path)),
    responses((status = 200, body = FunctionView)))]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<Json<FunctionView>, Problem> {
    find(&app, &caller, &name).await.map(Json)
}

async fn find(app: &App, caller: &Caller, name: &str) -> Result<FunctionView, Problem> {
    let functions = app.engine.function_status(caller.tenant()).await.map_err(engine_problem)?;
    let found = functions.into_iter().find(|function| function.name == name);
    found.map(FunctionView::from).ok_or_else(|| Problem::not_found("function", name))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionDraft {
    /// A CREATE FUNCTION statement.
    #[schema(
        example = "CREATE FUNCTION fahrenheit(celsius DOUBLE) RETURNS DOUBLE RETURN celsius * 1.8 + 32"
    )]
    sql: String,
    /// Take the place of what is there, whatever the statement says about that.
    #[serde(default)]
    replace: bool,
}

/// Creates or replaces a function. Pipelines that exist go on by the definition that they were created with.
#[utoipa::path(post, path = "/api/v1/functions", tag = "functions", request_body = FunctionDraft,
    responses((status = 201, body = FunctionView)))]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<FunctionDraft>,
) -> Result<Response, Problem> {
    let mut statement = statements::parse_one(&draft.sql)?;
    let name = match &mut statement {
        Statement::CreateFunction(function) => {
            function.or_replace |= draft.replace;
            function.if_not_exists &= !draft.replace;
            function.name.to_string()
        }
        other => {
            let detail = format!("the statement is {}, expected CREATE FUNCTION", other.verb());
            return Err(Problem::bad_request("invalid_sql", detail)
                .hint("CREATE FUNCTION name (parameter TYPE) RETURNS TYPE RETURN expression"));
        }
    };
    statements::execute(&app, &caller, &statement).await?;
    Ok((StatusCode::CREATED, Json(find(&app, &caller, &name).await?)).into_response())
}

/// Makes functions of all that a WebAssembly component exports, each in the place of the one of its name. Pipelines that exist go on by
/// the component that they were created with. The body is the component.
#[utoipa::path(post, path = "/api/v1/components", tag = "functions",
    request_body(content((Vec<u8> = "application/wasm"))),
    responses((status = 201, body = [FunctionView])))]
pub(crate) async fn bring(
    State(app): State<App>,
    caller: Caller,
    RawBody(bytes): RawBody,
) -> Result<Response, Problem> {
    let by = Some(caller.name.as_ref());
    let names = app.engine.add_component(caller.tenant(), by, bytes).await.map_err(engine_problem)?;
    let functions = app.engine.function_status(caller.tenant()).await.map_err(engine_problem)?;
    let is_one = |function: &FunctionStatus| names.iter().any(|name| name.as_str() == function.name);
    let views: Vec<FunctionView> = functions.into_iter().filter(is_one).map(FunctionView::from).collect();
    Ok((StatusCode::CREATED, Json(views)).into_response())
}

/// Drops a function that nothing calls.
#[utoipa::path(delete, path = "/api/v1/functions/{name}", tag = "functions", params(("name" = String, Path)),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
) -> Result<StatusCode, Problem> {
    let statement = Statement::DropFunction { name: name.parse()?, if_exists: false };
    statements::execute(&app, &caller, &statement).await?;
    Ok(StatusCode::NO_CONTENT)
}
