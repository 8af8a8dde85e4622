//! Operators that look at one row at a time and keep nothing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use datafusion::physical_expr::PhysicalExpr;

use super::broken::{booleans, evaluate};
use super::{Chunk, Operator, Outbox, Side};
use crate::RunError;
use crate::plan::{Bounds, SpreadStep, WindowStep};

/// Takes the columns that the query uses.
pub(crate) struct Select {
    columns: Vec<usize>,
    /// The schema of the rows that come, and of those that go: most are like those before.
    schemas: Option<(SchemaRef, SchemaRef)>,
}

impl Select {
    pub(crate) fn new(columns: Vec<usize>) -> Select {
        Select { columns, schemas: None }
    }

    fn schema(&mut self, input: SchemaRef) -> Result<SchemaRef, RunError> {
        match &self.schemas {
            Some((known, selected)) if Arc::ptr_eq(known, &input) => Ok(Arc::clone(selected)),
            _ => {
                let selected = Arc::new(input.project(&self.columns)?);
                self.schemas = Some((input, Arc::clone(&selected)));
                Ok(selected)
            }
        }
    }
}

impl Operator for Select {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let schema = self.schema(chunk.batch.schema())?;
        let columns = self.columns.iter().map(|column| Arc::clone(chunk.batch.column(*column)));
        let batch = with_row_count(&schema, columns.collect(), chunk.batch.num_rows())?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }
}

/// Keeps the rows for which the predicate is true; null is not true.
pub(crate) struct Filter {
    pub(crate) predicate: Arc<dyn PhysicalExpr>,
}

impl Operator for Filter {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let keep = booleans(&evaluate(&self.predicate, &chunk.batch)?)?;
        // A rule that watches for the unusual finds nothing in most batches.
        if keep.has_true() {
            out.chunks.push(chunk.filter(&keep)?);
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
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let rows = chunk.batch.num_rows();
        let columns = self
            .exprs
            .iter()
            .map(|expr| evaluate(expr, &chunk.batch))
            .collect::<Result<Vec<ArrayRef>, RunError>>()?;
        let batch = with_row_count(&self.schema, columns, rows)?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }
}

/// Adds the start and the end of the window that a row falls into.
pub(crate) struct AssignWindow {
    pub(crate) step: WindowStep,
}

impl Operator for AssignWindow {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let times = chunk.batch.column(self.step.ts).as_primitive::<TimestampMicrosecondType>().values();
        match self.step.bounds {
            Bounds::Slice { slice_us } => {
                let (starts, ends) = slice_bounds(times, slice_us);
                out.chunks.push(self.with_bounds(chunk, starts, ends)?);
            }
            Bounds::Alone { gap_us } => {
                let ends = times.iter().map(|ts| ts.saturating_add(gap_us)).collect();
                let starts = times.to_vec();
                out.chunks.push(self.with_bounds(chunk, starts, ends)?);
            }
            Bounds::Each(window) => {
                let mut rest = times.iter().zip(0_u32..).peekable();
                while rest.peek().is_some() {
                    let (mut rows, mut starts) = (Vec::new(), Vec::new());
                    while let Some((ts, row)) = rest.next_if(|_| starts.len() < EXPANDED_ROWS) {
                        starts.extend(window.starts_of(*ts));
                        rows.resize(starts.len(), row);
                    }
                    let ends = starts.iter().map(|start| start.saturating_add(window.size_us)).collect();
                    let expanded = chunk.take(&UInt32Array::from(rows))?;
                    out.chunks.push(self.with_bounds(expanded, starts, ends)?);
                }
            }
        }
        Ok(())
    }
}

/// Gives a row for each time in a list, which becomes the row's own.
pub(crate) struct Spread {
    step: SpreadStep,
    /// Rows that were given since time was told.
    given: usize,
}

/// What may be given at once: all of it is in memory before it is written.
const GIVEN_MAX: usize = 2_000_000;

impl Spread {
    pub(crate) fn new(step: SpreadStep) -> Spread {
        Spread { step, given: 0 }
    }

    /// The rows from `from` to `to`, with the times that they have in their lists.
    fn piece(
        &self,
        chunk: &Chunk,
        offsets: &[i32],
        times: &TimestampMicrosecondArray,
    ) -> Result<Chunk, RunError> {
        let first = offsets.first().copied().unwrap_or_default();
        let count = (offsets.last().copied().unwrap_or_default() - first) as usize;
        let times = times.slice(first as usize, count);
        let lengths = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
        let rows = (0_u32..).zip(lengths).flat_map(|(row, length)| std::iter::repeat_n(row, length));
        let rows: UInt32Array = rows.collect();
        // A list must not be copied into each of its rows.
        let column = |at: usize| -> Result<ArrayRef, RunError> {
            match at == self.step.column {
                true => Ok(Arc::new(times.clone())),
                false => Ok(take(chunk.batch.column(at), &rows, None)?),
            }
        };
        let columns = (0..chunk.batch.num_columns()).map(column).collect::<Result<_, _>>()?;
        let batch = with_row_count(&self.step.schema, columns, count)?;
        Ok(Chunk { batch, times: times.with_timezone_opt::<&str>(None), lineage: None })
    }
}

impl Operator for Spread {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        const WRONG: RunError = RunError::State { what: "a list of times is none" };
        let lists = chunk.batch.column(self.step.column).as_list_opt::<i32>().ok_or(WRONG)?;
        let times = lists.values().as_primitive_opt::<TimestampMicrosecondType>().ok_or(WRONG)?;
        let offsets = lists.value_offsets();
        self.given += (offsets[offsets.len() - 1] - offsets[0]) as usize;
        if self.given > GIVEN_MAX {
            return Err(RunError::Grid { rows_max: GIVEN_MAX });
        }
        let (mut from, count) = (0, chunk.batch.num_rows());
        while from < count {
            // At least one row, whose list is bounded when it is planned.
            let room = offsets[from] as usize + EXPANDED_ROWS;
            let to = from + offsets[from + 1..].partition_point(|end| *end as usize <= room).max(1);
            let piece = self.piece(&chunk.slice(from, to - from), &offsets[from..=to], times)?;
            out.chunks.extend((piece.batch.num_rows() > 0).then_some(piece));
            from = to;
        }
        Ok(())
    }

    fn on_watermark(&mut self, _watermark: i64, _out: &mut Outbox) -> Result<(), RunError> {
        self.given = 0;
        Ok(())
    }
}

/// Rows of several windows are handed on in pieces of about this many.
const EXPANDED_ROWS: usize = 65_536;

impl AssignWindow {
    fn with_bounds(&self, chunk: Chunk, starts: Vec<i64>, ends: Vec<i64>) -> Result<Chunk, RunError> {
        let kept = self.step.kept.iter();
        let mut columns: Vec<ArrayRef> = kept.map(|column| Arc::clone(chunk.batch.column(*column))).collect();
        columns.push(Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC")));
        columns.push(Arc::new(TimestampMicrosecondArray::from(ends).with_timezone("UTC")));
        let batch = with_row_count(&self.step.schema, columns, chunk.batch.num_rows())?;
        Ok(chunk.with_batch(batch))
    }
}

/// Start and end of each row's slice. Neighbours mostly share theirs, so the division is rarely needed.
fn slice_bounds(times: &[i64], slice_us: i64) -> (Vec<i64>, Vec<i64>) {
    let start_of = |ts: i64| ts.saturating_sub(ts.rem_euclid(slice_us));
    let mut starts = Vec::with_capacity(times.len());
    let mut start = start_of(times.first().copied().unwrap_or_default());
    for ts in times {
        if ts.wrapping_sub(start) as u64 >= slice_us as u64 {
            start = start_of(*ts);
        }
        starts.push(start);
    }
    let ends = starts.iter().map(|start| start.saturating_add(slice_us)).collect();
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
    use crate::plan::window::Aligned;

    #[test]
    fn bounds_are_those_of_each_row_alone() {
        let times = [0, 9, 10, -1, 5, 25, i64::MIN, i64::MAX, 3];
        let (starts, ends) = slice_bounds(&times, 10);
        for (at, ts) in times.iter().enumerate() {
            let start = Aligned::tumbling(10).last_start(*ts);
            assert_eq!((starts[at], ends[at]), (start, start.saturating_add(10)), "{ts}");
        }
        assert_eq!(slice_bounds(&[], 10), (vec![], vec![]));
    }
}
