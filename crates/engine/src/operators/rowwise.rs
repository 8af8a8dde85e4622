//! Operators that look at one row at a time and keep nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use datafusion::physical_expr::PhysicalExpr;

use super::{Chunk, Operator, Outbox};
use crate::RunError;
use crate::plan::window::Window;

/// Takes the columns that the query uses.
pub(crate) struct Select {
    pub(crate) columns: Vec<usize>,
}

impl Operator for Select {
    fn on_batch(&mut self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let batch = chunk.batch.project(&self.columns)?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }
}

/// Keeps the rows for which the predicate is true; null is not true.
pub(crate) struct Filter {
    pub(crate) predicate: Arc<dyn PhysicalExpr>,
}

impl Operator for Filter {
    fn on_batch(&mut self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let rows = chunk.batch.num_rows();
        let keep = self.predicate.evaluate(&chunk.batch)?.into_array(rows)?;
        let Some(keep) = keep.as_boolean_opt() else {
            return Err(RunError::State { what: "a predicate is not boolean" });
        };
        let kept = match keep.null_count() {
            0 => chunk.filter(keep)?,
            _ => chunk.filter(&prep_null_mask_filter(keep))?,
        };
        if kept.batch.num_rows() > 0 {
            out.chunks.push(kept);
        }
        Ok(())
    }
}

/// Computes new columns.
pub(crate) struct Project {
    pub(crate) exprs: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) schema: SchemaRef,
}

impl Operator for Project {
    fn on_batch(&mut self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let rows = chunk.batch.num_rows();
        let columns = self
            .exprs
            .iter()
            .map(|expr| Ok(expr.evaluate(&chunk.batch)?.into_array(rows)?))
            .collect::<Result<Vec<ArrayRef>, RunError>>()?;
        let batch = with_row_count(&self.schema, columns, rows)?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }
}

/// Adds the start and the end of the window that a row falls into.
pub(crate) struct AssignWindow {
    pub(crate) ts: usize,
    pub(crate) window: Window,
    pub(crate) kept: Vec<usize>,
    pub(crate) schema: SchemaRef,
}

impl Operator for AssignWindow {
    fn on_batch(&mut self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let times = chunk.batch.column(self.ts).as_primitive::<TimestampMicrosecondType>();
        let (starts, ends) = window_bounds(times.values(), self.window);
        let mut columns: Vec<ArrayRef> =
            self.kept.iter().map(|column| Arc::clone(chunk.batch.column(*column))).collect();
        columns.push(Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC")));
        columns.push(Arc::new(TimestampMicrosecondArray::from(ends).with_timezone("UTC")));
        let batch = with_row_count(&self.schema, columns, chunk.batch.num_rows())?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }
}

/// Start and end of each row's window. Neighbours mostly share theirs, so the division is rarely needed.
fn window_bounds(times: &[i64], window: Window) -> (Vec<i64>, Vec<i64>) {
    let size = window.size_us();
    let mut starts = Vec::with_capacity(times.len());
    let mut start = window.start_of(times.first().copied().unwrap_or_default());
    for ts in times {
        if ts.wrapping_sub(start) as u64 >= size as u64 {
            start = window.start_of(*ts);
        }
        starts.push(start);
    }
    let ends = starts.iter().map(|start| start.saturating_add(size)).collect();
    (starts, ends)
}

/// A batch of columns that may be none at all.
pub(crate) fn with_row_count(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, RunError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows)).with_match_field_names(false);
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_each_row_alone() {
        let window = Window::Tumble { size_us: 10 };
        let times = [0, 9, 10, -1, 5, 25, i64::MIN, i64::MAX, 3];
        let (starts, ends) = window_bounds(&times, window);
        for (at, ts) in times.iter().enumerate() {
            assert_eq!(starts[at], window.start_of(*ts), "{ts}");
            assert_eq!(ends[at], window.start_of(*ts).saturating_add(10), "{ts}");
        }
        assert_eq!(window_bounds(&[], window), (vec![], vec![]));
    }
}
