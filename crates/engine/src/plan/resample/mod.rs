//! `INTERPOLATE` and `LOCF`: rows at even times, made from those that came at uneven ones.
//!
//! ```text
//! rows of a key  ────●─────────●──●──────────────────────────●────▶
//! grid           ──┼────┼────┼────┼────┼────┼────┼────┼────┼────┼─▶
//! given                 ○    ○    (further apart than the gap)
//! ```
//! In a plan it is what SQL has: beside each row the one before it of the same key (`LAG`), a row for each time of the grid from
//! behind that one up to this one, and values that are computed from both. A stream and history carry it out alike.

mod function;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, TableReference};
use datafusion::functions_window::lead_lag::lag_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, ScalarUDF, WindowFunctionDefinition, ident, when,
};

use function::Interpolate;
pub(crate) use function::{Grid, grid_of};

/// The times of the grid that follow from a row.
const GRID: &str = "_grid";

/// What stands between two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fill {
    /// Numbers on the straight line between the two, everything else as in the first of them.
    Linear,
    /// As in the first of them.
    Last,
}

/// Rows of `input` at the times of a grid, for each of the keys.
pub(crate) fn resampled(
    input: LogicalPlan,
    ts: &Expr,
    keys: &[Expr],
    grid: Grid,
    fill: Fill,
) -> Result<LogicalPlan> {
    let columns: Vec<(Option<TableReference>, String, DataType)> = input
        .schema()
        .iter()
        .map(|(qualifier, field)| (qualifier.cloned(), field.name().clone(), field.data_type().clone()))
        .collect();
    let column = |(qualifier, name, _): &(Option<TableReference>, String, DataType)| {
        Expr::Column(Column::new(qualifier.clone(), name.clone()))
    };
    let before = |of: &Expr| -> Result<Expr> {
        let lag = WindowFunctionDefinition::WindowUDF(lag_udwf());
        let call = Expr::from(WindowFunction::new(lag, vec![of.clone()]));
        call.partition_by(keys.to_vec()).order_by(vec![ts.clone().sort(true, false)]).build()
    };
    let named = |expr: &Expr| Expr::Column(Column::new_unqualified(expr.schema_name().to_string()));
    let here: Vec<Expr> = columns.iter().map(column).collect();
    let lags: Vec<Option<Expr>> = here
        .iter()
        .map(|expr| (!keys.contains(expr)).then(|| before(expr)).transpose())
        .collect::<Result<_>>()?;
    let before_ts = named(&before(ts)?);
    let rows = LogicalPlanBuilder::from(input).window(lags.iter().flatten().cloned())?;
    let mut all: Vec<Expr> = here.iter().cloned().chain(lags.iter().flatten().map(named)).collect();
    all.push(ScalarUDF::from(grid).call(vec![before_ts.clone(), ts.clone()]).alias(GRID));
    let rows = rows.project(all)?.unnest_column(GRID)?;
    let at = ident(GRID);
    let given = columns.iter().zip(here.iter().zip(&lags)).map(|((qualifier, name, ty), (expr, lag))| {
        let value = match lag {
            None => expr.clone(),
            Some(_) if expr == ts => at.clone(),
            Some(lag) if fill == Fill::Linear && ty.is_numeric() => {
                let between = vec![named(lag), expr.clone(), before_ts.clone(), ts.clone(), at.clone()];
                ScalarUDF::from(Interpolate::new()).call(between)
            }
            Some(lag) => when(at.clone().eq(ts.clone()), expr.clone()).otherwise(named(lag))?,
        };
        Ok(value.alias_qualified(qualifier.clone(), name.clone()))
    });
    rows.project(given.collect::<Result<Vec<Expr>>>()?)?.build()
}

/// The grid whose times a plan gives rows for, if that is what it unnests.
pub(crate) fn unnested_grid(input: &LogicalPlan, column: usize) -> Option<Grid> {
    if input.schema().field(column).name() != GRID {
        return None;
    }
    let mut found = None;
    // The nearest one: filters may stand before it.
    let visited = input.apply(|node| {
        found = node.expressions().iter().find_map(grid_of);
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    visited.ok().and(found)
}

/// A list of times, none of which is missing.
fn times_type() -> DataType {
    DataType::List(Arc::new(arrow::datatypes::Field::new_list_field(super::window::time_type(), false)))
}
