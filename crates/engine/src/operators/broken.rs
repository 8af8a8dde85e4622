//! Rows for which an expression has no value: those of a batch are found, the others go their way.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;

use super::{Chunk, Lineage};
use crate::error::message;
use crate::{RunError, TimeOver};

/// A row that an expression has no value for.
#[derive(Clone, Debug)]
pub(crate) struct BrokenRow {
    /// What the expression says of it.
    pub(crate) why: String,
    /// The row alone, as it stood before the expression.
    pub(crate) row: RecordBatch,
    pub(crate) time: i64,
    pub(crate) lineage: Option<Lineage>,
}

impl BrokenRow {
    /// The only row of a chunk.
    pub(crate) fn of(chunk: Chunk, error: &DataFusionError) -> BrokenRow {
        let time = chunk.times.values().first().copied().unwrap_or_default();
        BrokenRow { why: message(error), row: chunk.batch, time, lineage: chunk.lineage }
    }
}

/// The values of an expression for all rows. It has to be asked before anything of the rows is kept: they are given again
/// when one of them has none.
pub(super) fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef, RunError> {
    let values = expr.evaluate(batch).and_then(|values| values.into_array(batch.num_rows()));
    values.map_err(|error| match TimeOver::of(&error) {
        // Without some of the rows it would take as long.
        Some(_) => RunError::Evaluate(error),
        None => RunError::Row(error),
    })
}

/// For which rows a condition is true; null is not. Rows of which it cannot say so are put aside and count as those for which
/// it is not. For rows that cannot be given again; `times` are theirs.
pub(super) fn holds(
    condition: &Arc<dyn PhysicalExpr>,
    rows: &RecordBatch,
    times: &[i64],
    broken: &mut Vec<BrokenRow>,
) -> Result<BooleanArray, RunError> {
    let count = rows.num_rows();
    match evaluate(condition, rows) {
        Ok(values) => booleans(&values),
        Err(RunError::Row(error)) if count <= 1 => {
            let time = times.first().copied().unwrap_or_default();
            broken.push(BrokenRow { why: message(&error), row: rows.clone(), time, lineage: None });
            Ok(BooleanArray::from(vec![false; count]))
        }
        Err(RunError::Row(_)) => {
            let half = count / 2;
            let (left, right) = times.split_at(half);
            let first = holds(condition, &rows.slice(0, half), left, broken)?;
            let second = holds(condition, &rows.slice(half, count - half), right, broken)?;
            Ok(first.iter().chain(second.iter()).collect())
        }
        Err(error) => Err(error),
    }
}

/// Null is not true.
pub(super) fn booleans(values: &ArrayRef) -> Result<BooleanArray, RunError> {
    match values.as_boolean_opt() {
        Some(booleans) if booleans.null_count() == 0 => Ok(booleans.clone()),
        Some(booleans) => Ok(prep_null_mask_filter(booleans)),
        None if values.null_count() == values.len() => Ok(BooleanArray::from(vec![false; values.len()])),
        None => Err(RunError::State { what: "a condition is not boolean" }),
    }
}

impl Lineage {
    /// The row of the source behind the only row of a chunk, if it has one.
    pub(crate) fn source_row(&self) -> Option<(usize, u32)> {
        let row = *self.rows.values().first()?;
        ((row as usize) < self.source.num_rows()).then_some((self.rows_of, row))
    }
}
