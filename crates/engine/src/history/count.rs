//! `COUNT_WINDOW` over bounded tables: rows are numbered, and every so many of them are one window.

use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, WindowFunctionDefinition, ident, lit,
};
use springhouse_schema::RECEIVED_COLUMN;

use super::{kept, without_negative_zero};
use crate::plan::window::{WINDOW_END, WINDOW_START, WindowNode};

/// The number of a row's window.
const NUMBER: &str = "_window";

/// The rows of windows that are full, with their bounds.
pub(super) fn windows(node: &WindowNode, size: i64) -> Result<LogicalPlan> {
    let (columns, qualifier) = kept(node);
    let keys = node.keys.iter().map(|key| without_negative_zero(key, &node.input));
    let mut keys: Vec<Expr> = keys.collect::<Result<_>>()?;
    let row_number = WindowFunctionDefinition::WindowUDF(row_number_udwf());
    let row_number = Expr::from(WindowFunction::new(row_number, vec![]));
    let row_number = row_number.partition_by(keys.clone()).order_by(in_order(node)).build()?;
    let rows = LogicalPlanBuilder::from(node.input.clone()).window([row_number.clone()])?;
    let number = (column(&row_number) - lit(1_u64)) / lit(size as u64);
    let rows = rows.project(columns.iter().cloned().chain([number.alias(NUMBER)]))?;
    keys.push(ident(NUMBER));
    let over = |function, argument| {
        let function = WindowFunctionDefinition::AggregateUDF(function);
        Expr::from(WindowFunction::new(function, vec![argument])).partition_by(keys.clone()).build()
    };
    let first = over(min_udaf(), node.ts.clone())?;
    let last = over(max_udaf(), node.ts.clone())?;
    let count = over(count_udaf(), lit(1_i64))?;
    let rows = rows.window([first.clone(), last.clone(), count.clone()])?;
    let rows = rows.filter(column(&count).eq(lit(size)))?;
    let mut all = columns;
    all.push(column(&first).alias_qualified(qualifier.clone(), WINDOW_START));
    all.push(column(&last).alias_qualified(qualifier, WINDOW_END));
    rows.project(all)?.build()
}

/// By time; rows of one time as they came, as far as a table tells.
fn in_order(node: &WindowNode) -> Vec<SortExpr> {
    let received = node.input.schema().qualified_fields_with_unqualified_name(RECEIVED_COLUMN);
    let received = received.first().map(|field| Expr::Column(Column::from(*field)));
    std::iter::once(&node.ts).chain(&received).map(|expr| expr.clone().sort(true, false)).collect()
}

fn column(expr: &Expr) -> Expr {
    Expr::Column(Column::new_unqualified(expr.schema_name().to_string()))
}
