//! From the text of a query to a plan: one statement, one that only asks, over the tables of one tenant.

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::{SetExpr, Statement as SqlStatement};
use springhouse_engine::PlanError;
use springhouse_model::TenantId;

use super::tables::Tables;
use crate::LakeError;
use crate::keeper::Shared;
use crate::twin::Twin;

/// A text that is longer is not a question; planning is not linear in it.
const QUERY_BYTES_MAX: usize = 256 << 10;
/// Operators and keywords that can nest. The stack of the lake's threads carries several times this many.
const OPERATORS_MAX: usize = 2_000;

/// Refuses what could not even be read safely.
pub(super) fn check_size(sql: &str) -> Result<(), LakeError> {
    if sql.len() > QUERY_BYTES_MAX {
        return Err(LakeError::QueryTooLong { bytes: sql.len(), bytes_max: QUERY_BYTES_MAX });
    }
    let operators = springhouse_engine::nesting(sql);
    match operators > OPERATORS_MAX {
        true => Err(LakeError::QueryTooDeep { operators, operators_max: OPERATORS_MAX }),
        false => Ok(()),
    }
}

/// The plan of a query, over the tables that exist for the tenant.
pub(super) fn planned(
    shared: &Shared,
    twin: &Twin,
    tenant: &TenantId,
    session: &SessionContext,
    sql: &str,
) -> Result<LogicalPlan, LakeError> {
    let state = session.state();
    let tables = Tables::of(shared, twin, tenant, &state);
    let options =
        ParserOptions { map_string_types_to_utf8view: false, collect_spans: true, ..ParserOptions::new() };
    let (explain, statement) = match parse(sql)? {
        Statement::Explain(explain) => {
            (Some((explain.options.analyze, explain.options.verbose)), *explain.statement)
        }
        statement => (None, statement),
    };
    let Statement::Statement(mut statement) = statement else {
        return Err(LakeError::NotAQuery { hint: "explain a SELECT" });
    };
    let refused = |error: PlanError| LakeError::Query { message: error.to_string() };
    springhouse_engine::write_out_changes(statement.as_mut()).map_err(refused)?;
    tables.functions().expand(statement.as_mut()).map_err(refused)?;
    springhouse_engine::check_expansion(&statement).map_err(refused)?;
    let plan = SqlToRel::new_with_options(&tables, options)
        .sql_statement_to_plan(*statement)
        .and_then(springhouse_engine::history::lower_versions)
        .map_err(LakeError::query)?;
    refuse_all_but_reading(&plan)?;
    let Some((analyze, verbose)) = explain else { return Ok(plan) };
    LogicalPlanBuilder::from(plan)
        .explain(verbose, analyze)
        .and_then(|builder| builder.build())
        .map_err(LakeError::query)
}

/// One statement, and one that only asks.
fn parse(sql: &str) -> Result<Statement, LakeError> {
    let mut statements = DFParser::parse_sql(sql).map_err(LakeError::query)?;
    let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
        return Err(LakeError::NotAQuery { hint: "send statements one by one" });
    };
    let asks = match &statement {
        Statement::Statement(statement) => is_query(statement),
        Statement::Explain(explain) => {
            matches!(explain.statement.as_ref(), Statement::Statement(statement) if is_query(statement))
        }
        _ => false,
    };
    match asks {
        true => Ok(statement),
        false => Err(LakeError::NotAQuery {
            hint: "tables are filled by devices and pipelines, not by statements",
        }),
    }
}

fn is_query(statement: &SqlStatement) -> bool {
    let SqlStatement::Query(query) = statement else { return false };
    // `WITH … INSERT` parses as a query too.
    !matches!(
        query.body.as_ref(),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    )
}

/// The parser has let only queries pass; this says it again about the plan, in which nothing can hide.
fn refuse_all_but_reading(plan: &LogicalPlan) -> Result<(), LakeError> {
    datafusion::execution::context::SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|_| LakeError::NotAQuery {
            hint: "tables are filled by devices and pipelines, not by statements",
        })
}
