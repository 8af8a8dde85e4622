//! Statements on their way to the engine: parsed, allowed, carried out, and their errors with line and column.

use axum::http::StatusCode;
use springhouse_engine::statement::{self, Statement};
use springhouse_engine::tables::FetchError;
use springhouse_engine::{EngineError, Outcome};
use springhouse_model::ErrorClass;
use springhouse_policy::Scope;

use crate::auth::Caller;
use crate::problem::Problem;
use crate::schemas::registry_problem;
use crate::state::App;

/// Longest statement. What a person writes is shorter; what a program writes should be two.
const SQL_BYTES_MAX: usize = 64 * 1024;

/// The one statement of a text.
pub(crate) fn parse_one(sql: &str) -> Result<Statement, Problem> {
    check_length(sql)?;
    statement::parse_one(sql).map_err(|error| Problem::bad_request("invalid_sql", error.to_string()))
}

pub(crate) fn check_length(sql: &str) -> Result<(), Problem> {
    match sql.len() > SQL_BYTES_MAX {
        true => {
            let detail =
                format!("the statement has {} bytes, at most {SQL_BYTES_MAX} are allowed", sql.len());
            Err(Problem::bad_request("invalid_sql", detail))
        }
        false => Ok(()),
    }
}

/// Carries out a statement that is no query.
pub(crate) async fn execute(app: &App, caller: &Caller, statement: &Statement) -> Result<Outcome, Problem> {
    if statement.is_change() {
        caller.require(Scope::Write)?;
    }
    let by = Some(caller.name.as_ref());
    let outcome = app.engine.execute_for(caller.tenant(), by, statement).await.map_err(engine_problem)?;
    if statement.is_change() {
        tracing::info!(statement = statement.verb(), "a statement has been carried out");
    }
    Ok(outcome)
}

pub(crate) fn engine_problem(error: EngineError) -> Problem {
    match error {
        EngineError::NotFound { kind, name } => Problem::not_found(kind, name),
        EngineError::NoVersion { .. } => Problem::new(StatusCode::NOT_FOUND, "not_found", error.to_string()),
        EngineError::Exists { .. }
        | EngineError::InUse { .. }
        | EngineError::NotRunning { .. }
        | EngineError::TableInUse { .. }
        | EngineError::FunctionInUse { .. }
        | EngineError::NoSource { .. }
        | EngineError::HasSource { .. }
        | EngineError::Target { .. } => Problem::conflict("conflict", error.to_string()),
        EngineError::Load(error) if error.class() == ErrorClass::User => {
            Problem::bad_request("invalid_rows", error.to_string())
        }
        // Whoever names an address has to know what it answers.
        EngineError::Fetch(error @ FetchError::Failed { .. }) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
        }
        EngineError::Registry(error) => registry_problem(error),
        EngineError::Meta(error) => Problem::from(error),
        _ => Problem::by_class(error.class(), "invalid_sql", "carry out the statement", &error),
    }
}
