//! What cannot run on an endless stream is refused here, with the reason and the nearest thing that works.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::sql::sqlparser::ast::{Query, Statement};

use super::PlanError;

/// Refuses by the text, where the logical plan would no longer show what was written.
pub(super) fn syntax(statement: &Statement) -> Result<(), PlanError> {
    let Statement::Query(query) = statement else { return Ok(()) };
    let Query { with, order_by, limit_clause, fetch, .. } = query.as_ref();
    if with.as_ref().is_some_and(|with| with.recursive) {
        return Err(PlanError::new("a recursive query does not end on an endless stream"));
    }
    if order_by.is_some() {
        return Err(order_error());
    }
    if limit_clause.is_some() || fetch.is_some() {
        return Err(limit_error());
    }
    Ok(())
}

/// Refuses by the plan, before anything is simplified away.
pub(super) fn logical(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut refusal = None;
    plan.apply(|node| {
        let result = node_error(node).map_or_else(|| expressions(node), Err);
        Ok(match result {
            Ok(()) => TreeNodeRecursion::Continue,
            Err(error) => {
                refusal = Some(error);
                TreeNodeRecursion::Stop
            }
        })
    })?;
    refusal.map_or(Ok(()), Err)
}

fn order_error() -> PlanError {
    PlanError::new("ORDER BY needs all rows, and an endless stream never has them all").with_hint(
        "results of windows come out ordered by window_end and key; order the derived stream when you query it",
    )
}

fn limit_error() -> PlanError {
    PlanError::new("LIMIT would end a pipeline that runs for ever")
        .with_hint("filter by a condition, or use LIMIT when you query the derived stream")
}

fn node_error(node: &LogicalPlan) -> Option<PlanError> {
    match node {
        LogicalPlan::Sort(_) => Some(order_error()),
        LogicalPlan::Limit(_) => Some(limit_error()),
        LogicalPlan::Distinct(_) => Some(
            PlanError::new("DISTINCT would have to remember every row for ever").with_hint(
                "UNION ALL hands all rows on; or group by the columns in a window: FROM TUMBLE(stream, ts, INTERVAL '1' HOUR) GROUP BY window_start, …",
            ),
        ),
        LogicalPlan::Filter(filter) if has_over(&filter.predicate) => Some(
            PlanError::new("WHERE is asked before a function with OVER is computed")
                .with_hint("QUALIFY is asked behind it: SELECT … FROM stream QUALIFY x > LAG(x) OVER (…)"),
        ),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            Some(PlanError::new("a pipeline reads a stream").with_hint("SELECT … FROM stream"))
        }
        LogicalPlan::RecursiveQuery(_) => {
            Some(PlanError::new("a recursive query does not end on an endless stream"))
        }
        LogicalPlan::Unnest(unnest) => super::spread::grid(unnest).err(),
        _ => None,
    }
}

fn has_over(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::WindowFunction(_)))).unwrap_or_default()
}

/// Functions whose value depends on the moment or on chance would make a replay give other rows.
fn expressions(node: &LogicalPlan) -> Result<(), PlanError> {
    let mut refusal = None;
    node.apply_expressions(|root| {
        refusal = refusal.take().or(expression(root).err());
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refusal.map_or(Ok(()), Err)
}

/// Refuses an expression whose value does not follow from the row alone.
pub(crate) fn expression(root: &Expr) -> Result<(), PlanError> {
    let mut refusal = None;
    root.apply(|expr| {
        refusal = refusal.take().or_else(|| expression_error(expr));
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refusal.map_or(Ok(()), Err)
}

fn expression_error(expr: &Expr) -> Option<PlanError> {
    match expr {
        Expr::ScalarFunction(function) => match function.func.signature().volatility {
            Volatility::Immutable => None,
            Volatility::Stable => Some(
                PlanError::new(format!("{}() depends on when it runs", function.func.name())).with_hint(
                    "a pipeline's result depends on the data alone: use ts, the time of the row, or window_end",
                ),
            ),
            Volatility::Volatile => Some(
                PlanError::new(format!("{}() gives another value each time", function.func.name()))
                    .with_hint("a pipeline gives the same rows when it is run again"),
            ),
        },
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => Some(
            PlanError::new("a subquery inside an expression would be a join with an endless stream")
                .with_hint("list the values: device IN ('a', 'b')"),
        ),
        Expr::Placeholder(placeholder) => {
            Some(PlanError::new(format!("the parameter `{}` has no value here", placeholder.id)))
        }
        _ => None,
    }
}
