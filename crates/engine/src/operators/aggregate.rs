//! Aggregation per window and key, by event time.
//!
//! Rows go into the pane of their window unless the watermark before them has passed the window's end and the
//! allowed lateness; those are late. A pane is closed once, when the watermark passes that same line, and panes close
//! in the order of their end, keys in the order of their value. Which row is late and what comes out in which order
//! therefore follows from the rows alone, however they are cut into batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::TimestampMicrosecondType;
use hashbrown::HashMap;

use super::pane::{Inputs, Pane};
use super::rowwise::with_row_count;
use super::{Chunk, LateRows, Lineage, Operator, Outbox};
use crate::RunError;
use crate::ipc;
use crate::plan::{AggregateStep, Group};

pub(crate) struct WindowAggregate {
    step: Arc<AggregateStep>,
    /// Open panes by the end of their window.
    panes: BTreeMap<i64, Pane>,
}

impl WindowAggregate {
    pub(crate) fn new(step: Arc<AggregateStep>) -> WindowAggregate {
        WindowAggregate { step, panes: BTreeMap::new() }
    }

    /// The watermark at which a window is complete.
    fn closes_at(&self, end: i64) -> i64 {
        end.saturating_add(self.step.allowed_lateness_us)
    }

    /// Splits the rows of a chunk by window, late ones apart.
    fn split(&self, ends: &[i64], lineage: &Lineage) -> Split {
        let watermarks = lineage.watermarks.values();
        let mut split = Split::default();
        let mut places = HashMap::new();
        let mut current = 0;
        for (row, (end, watermark)) in ends.iter().zip(watermarks.iter()).enumerate() {
            let closes_at = self.closes_at(*end);
            if closes_at <= *watermark {
                split.late.push(row as u32);
                split.late_by.push(watermark.saturating_sub(closes_at));
                continue;
            }
            if split.windows.get(current).is_none_or(|(window, _)| window != end) {
                current = *places.entry(*end).or_insert(split.windows.len());
                if current == split.windows.len() {
                    split.windows.push((*end, Vec::new()));
                }
            }
            split.windows[current].1.push(row as u32);
        }
        split
    }

    fn pane(&mut self, end: i64) -> Result<&mut Pane, RunError> {
        use std::collections::btree_map::Entry;
        match self.panes.entry(end) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Pane::new(&self.step)?)),
        }
    }

    fn close(&self, end: i64, pane: Pane) -> Result<Chunk, RunError> {
        let (keys, results, rows) = pane.close()?;
        let start = end.saturating_sub(self.step.window.size_us());
        let mut keys = keys.into_iter();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.step.schema.fields().len());
        for group in &self.step.groups {
            columns.push(match group {
                Group::WindowStart => constant(start, rows),
                Group::WindowEnd => constant(end, rows),
                Group::Key(_) => keys.next().ok_or(RunError::State { what: "a key is missing" })?,
            });
        }
        columns.extend(results);
        let batch = with_row_count(&self.step.schema, columns, rows)?;
        let times = TimestampMicrosecondArray::from_value(end, rows);
        Ok(Chunk { batch, times, lineage: None })
    }
}

/// The rows of a chunk by window, in the order in which the windows were met.
#[derive(Default)]
struct Split {
    windows: Vec<(i64, Vec<u32>)>,
    late: Vec<u32>,
    late_by: Vec<i64>,
}

fn constant(value: i64, rows: usize) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(value, rows).with_timezone("UTC"))
}

impl Operator for WindowAggregate {
    fn on_batch(&mut self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let Some(lineage) = &chunk.lineage else {
            return Err(RunError::State { what: "a window was given rows without watermarks" });
        };
        let column = chunk.batch.column(self.step.window_column);
        let bounds = column.as_primitive::<TimestampMicrosecondType>().values();
        let split = match self.step.window_column_is_start {
            false => self.split(bounds, lineage),
            true => {
                let size = self.step.window.size_us();
                let ends: Vec<i64> = bounds.iter().map(|start| start.saturating_add(size)).collect();
                self.split(&ends, lineage)
            }
        };
        if !split.late.is_empty() {
            out.late.push(late_rows(lineage, split.late, split.late_by)?);
        }
        if split.windows.is_empty() {
            return Ok(());
        }
        let inputs = Inputs::evaluate(&self.step, &chunk.batch)?;
        for (end, rows) in split.windows {
            match rows.len() == inputs.rows {
                true => self.pane(end)?.update(&inputs)?,
                false => {
                    let inputs = inputs.take(&UInt32Array::from(rows))?;
                    self.pane(end)?.update(&inputs)?;
                }
            }
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        while let Some((end, _)) = self.panes.first_key_value() {
            if self.closes_at(*end) > watermark {
                break;
            }
            if let Some((end, pane)) = self.panes.pop_first() {
                out.chunks.push(self.close(end, pane)?);
            }
        }
        Ok(())
    }

    fn next_close(&self) -> Option<i64> {
        self.panes.first_key_value().map(|(end, _)| self.closes_at(*end))
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let mut parts = Vec::with_capacity(self.panes.len());
        for (end, pane) in std::mem::take(&mut self.panes) {
            let state = pane.state(&self.step)?;
            let mut renewed = Pane::new(&self.step)?;
            renewed.merge(&self.step, &state)?;
            self.panes.insert(end, renewed);
            parts.push((end, state));
        }
        Ok(Some(ipc::write_numbered(&parts)?))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RunError> {
        self.panes.clear();
        let expected = super::pane::state_schema(&self.step)?;
        for (end, state) in ipc::read_numbered(state)? {
            if state.schema().fields() != expected.fields() {
                return Err(RunError::State { what: "the columns are not those of this query" });
            }
            let mut pane = Pane::new(&self.step)?;
            pane.merge(&self.step, &state)?;
            self.panes.insert(end, pane);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.panes.values().map(Pane::bytes).sum()
    }
}

/// The source's rows behind late rows of a chunk.
fn late_rows(lineage: &Lineage, late: Vec<u32>, late_by: Vec<i64>) -> Result<LateRows, RunError> {
    let chunk_rows = UInt32Array::from(late);
    let source_rows = take(&lineage.rows, &chunk_rows, None)?;
    let columns = lineage
        .source
        .columns()
        .iter()
        .map(|column| take(column, source_rows.as_ref() as &dyn Array, None))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatch::try_new(lineage.source.schema(), columns)?;
    Ok(LateRows { rows, late_by_us: Int64Array::from(late_by) })
}
