//! What a folder of statements would change: the plan behind `springhouse pipeline apply`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use springhouse_engine::{Proposal, ProposedDrop, ProposedError, ProposedStep};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::problem::Problem;
use crate::state::App;
use crate::statements::{check_length, engine_problem};

/// Statements of one folder.
const STATEMENTS_MAX: usize = 1_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposalDraft {
    /// CREATE STREAM, TABLE, FUNCTION, PIPELINE and ALERT statements in any order. Blanks in front of one keep its place in
    /// a file, which errors then name.
    statements: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProposalView {
    /// Pipelines and alerts that no statement makes.
    drops: Vec<DropView>,
    /// What becomes of each statement, in the order in which it can be carried out.
    steps: Vec<StepView>,
    /// As long as there is one, nothing should be carried out.
    errors: Vec<ErrorView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DropView {
    /// pipeline or alert
    kind: &'static str,
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StepView {
    /// Which of the statements, from 0.
    statement: usize,
    /// stream, table, function, pipeline or alert
    kind: &'static str,
    name: String,
    /// create, replace or unchanged
    change: &'static str,
    /// Functions of which it takes another definition.
    functions: Vec<String>,
    /// Operators by what becomes of their state.
    keeps: Vec<String>,
    reads_again: Vec<String>,
    begins_empty: Vec<String>,
    gives_up: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorView {
    statement: usize,
    line: u64,
    column: u64,
    message: String,
}

impl From<Proposal> for ProposalView {
    fn from(proposal: Proposal) -> ProposalView {
        let drop = |ProposedDrop { what, name }| DropView { kind: what, name };
        let step = |ProposedStep { statement, what, name, kind, functions, state }| StepView {
            statement,
            kind: what,
            name: name.to_string(),
            change: kind.as_str(),
            functions,
            keeps: state.keeps,
            reads_again: state.reads_again,
            begins_empty: state.begins_empty,
            gives_up: state.gives_up,
        };
        let error = |ProposedError { statement, at, message }| ErrorView {
            statement,
            line: at.line,
            column: at.column,
            message,
        };
        ProposalView {
            drops: proposal.drops.into_iter().map(drop).collect(),
            steps: proposal.steps.into_iter().map(step).collect(),
            errors: proposal.errors.into_iter().map(error).collect(),
        }
    }
}

/// Compares statements, as if they were all that there is, with the pipelines and alerts. Changes nothing.
#[utoipa::path(post, path = "/api/v1/pipelines/plan", tag = "pipelines", request_body = ProposalDraft,
    responses((status = 200, body = ProposalView)))]
pub(crate) async fn make(
    State(app): State<App>,
    caller: Caller,
    JsonBody(draft): JsonBody<ProposalDraft>,
) -> Result<Json<ProposalView>, Problem> {
    let count = draft.statements.len();
    if count > STATEMENTS_MAX {
        let detail = format!("there are {count} statements, at most {STATEMENTS_MAX} are allowed");
        return Err(Problem::bad_request("invalid_sql", detail));
    }
    // Blanks in front are place, not statement.
    draft.statements.iter().try_for_each(|sql| check_length(sql.trim_start()))?;
    let proposal = app.engine.propose(caller.tenant(), draft.statements).await.map_err(engine_problem)?;
    Ok(Json(ProposalView::from(proposal)))
}
