//! Aggregation per session and key, by event time.
//!
//! A session holds rows of one key, each less than the gap behind the one before it in event time. It is complete when
//! the watermark has passed its last row by the gap and the allowed lateness: whatever comes then would be in another one.
//! A row that comes between two open sessions can make one of them; nothing ever parts one.
//!
//! ```text
//! rows ─▶ which session? ─▶ hot pane, grouped by number of the session and keys
//!                                │ something closes
//!                                ▼
//!                            sealed parts ──rows of its numbers──▶ a result
//!                                │ most of their rows are used
//!                                ▼
//!                             one part
//! ```
//! Each row is moved a bounded number of times on average, however many sessions are open.

mod open;

use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::datatypes::SchemaRef;

use self::open::{Open, Step as Taken};
use super::pane::Inputs;
use super::parts::Parts;
use super::rowwise::with_row_count;
use super::window_keys::WindowKeys;
use super::{Chunk, Late, Operator, Outbox, Side};
use crate::RunError;
use crate::ipc;
use crate::plan::{AggregateStep, Bound};

pub(crate) struct SessionAggregate {
    step: Arc<AggregateStep>,
    gap_us: i64,
    bound: Bound,
    keys: WindowKeys,
    open: Open,
    parts: Parts,
}

impl SessionAggregate {
    pub(super) fn new(
        step: Arc<AggregateStep>,
        gap_us: i64,
        bound: Bound,
        keys: Vec<usize>,
    ) -> SessionAggregate {
        let keys = WindowKeys::new(&step, keys);
        let open = Open::new(gap_us);
        let parts = Parts::new(Arc::clone(&step));
        SessionAggregate { step, gap_us, bound, keys, open, parts }
    }
}

impl Operator for SessionAggregate {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let lineage = chunk.lineage();
        let inputs = Inputs::evaluate(&self.step, &chunk.batch)?;
        let keys = self.keys.of_groups(&inputs.keys)?;
        let ends = self.bound.ends(&chunk.batch, self.gap_us);
        let (mut taken, mut numbers, mut late) = (Vec::new(), Vec::new(), Late::default());
        for (row, (end, watermark)) in ends.iter().zip(lineage.watermarks.values()).enumerate() {
            match self.open.take(keys.of_row(row), end.saturating_sub(self.gap_us), *watermark) {
                Taken::Into(number) => {
                    taken.push(row as u32);
                    numbers.push(number);
                }
                Taken::Late { by_us } => late.push(row, by_us),
            }
        }
        if !late.rows.is_empty() {
            out.late.push(lineage.late_rows(late)?);
        }
        if taken.is_empty() {
            return Ok(());
        }
        let inputs = match taken.len() == inputs.rows {
            true => inputs,
            false => inputs.take(&UInt32Array::from(taken))?,
        };
        self.parts.update(inputs, numbers)
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        let ended = self.open.ended(watermark);
        if !ended.is_empty() {
            out.chunks.push(self.parts.results(&ended)?);
        }
        Ok(())
    }

    fn next_close(&self) -> Option<i64> {
        self.open.next_close()
    }

    /// Two batches: the open sessions, and their partial results.
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let partial = self.parts.as_one(&self.open.join_numbers())?;
        let (keys, spans) = self.open.spans();
        let mut columns = self.keys.columns(keys.iter().copied())?;
        columns.extend(spans);
        let open = with_row_count(&self.span_schema(), columns, keys.len())?;
        Ok(Some(ipc::write_numbered(&[(0, open), (1, partial)])?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        let parts = ipc::read_numbered(state)?;
        let [(0, open), (1, partial)] = parts.as_slice() else {
            return Err(RunError::State { what: "it is not that of sessions" });
        };
        super::slice::check_columns(&open.schema(), &self.span_schema())?;
        self.parts.restore(partial.clone())?;
        let keys = self.keys.of(&open.columns()[..self.keys.fields().len()])?;
        let keys = (0..open.num_rows()).map(|row| Box::from(keys.of_row(row)));
        self.open = Open::restored(self.gap_us, keys.collect(), open)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.open.bytes() + self.parts.bytes()
    }
}

impl SessionAggregate {
    /// Keys of sessions, then start, last row and number.
    fn span_schema(&self) -> SchemaRef {
        open::span_schema(self.keys.fields())
    }
}
