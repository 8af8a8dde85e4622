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
mod parts;

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::SchemaRef;
use arrow::row::{Row, RowConverter, Rows, SortField};

use self::open::{Ended, Open, Step as Taken};
use self::parts::{Parts, Results};
use super::keys::without_negative_zero;
use super::pane::Inputs;
use super::rowwise::with_row_count;
use super::{Chunk, Late, Operator, Outbox, Side, given};
use crate::RunError;
use crate::ipc;
use crate::plan::{AggregateStep, Bound};

pub(crate) struct SessionAggregate {
    step: Arc<AggregateStep>,
    gap_us: i64,
    bound: Bound,
    /// Which keys of the groups tell sessions apart.
    keys: Vec<usize>,
    /// `None` when they cannot be compared, which planning has refused.
    converter: Option<RowConverter>,
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
        let converter = converter(&step, &keys).ok();
        let open = Open::new(gap_us);
        let parts = Parts::new(Arc::clone(&step));
        SessionAggregate { step, gap_us, bound, keys, converter, open, parts }
    }

    /// The keys of sessions as bytes that compare as the values do; `None` when all rows are in one sequence.
    fn keys_of(&self, columns: &[ArrayRef]) -> Result<Option<Rows>, RunError> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let converter = self.converter.as_ref().ok_or(UNCOMPARABLE)?;
        let columns: Vec<ArrayRef> = columns.iter().map(without_negative_zero).collect();
        Ok(Some(converter.convert_columns(&columns)?))
    }

    /// The results of sessions that have ended, in the order of their end and key.
    fn results(&mut self, ended: &[Ended]) -> Result<Chunk, RunError> {
        let Results { sessions, keys, values } = self.parts.take(ended)?;
        let bounds = |bound: fn(&Ended) -> i64| {
            let bounds = sessions.iter().map(|at| ended.get(*at as usize).map_or(0, bound));
            TimestampMicrosecondArray::from_iter_values(bounds)
        };
        given(&self.step, bounds(|ended| ended.start), bounds(|ended| ended.end), keys, values)
    }
}

/// Makes bytes of the keys that tell sessions apart.
pub(super) fn converter(step: &AggregateStep, keys: &[usize]) -> Result<RowConverter, RunError> {
    let fields = keys.iter().map(|key| SortField::new(step.key_schema.field(*key).data_type().clone()));
    Ok(RowConverter::new(fields.collect())?)
}

const UNCOMPARABLE: RunError = RunError::State { what: "the keys of sessions cannot be compared" };

impl Operator for SessionAggregate {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let lineage = chunk.lineage();
        let inputs = Inputs::evaluate(&self.step, &chunk.batch)?;
        let keys: Vec<ArrayRef> = self.keys.iter().map(|key| Arc::clone(&inputs.keys[*key])).collect();
        let keys = self.keys_of(&keys)?;
        let ends = self.bound.ends(&chunk.batch, self.gap_us);
        let (mut taken, mut numbers, mut late) = (Vec::new(), Vec::new(), Late::default());
        for (row, (end, watermark)) in ends.iter().zip(lineage.watermarks.values()).enumerate() {
            let key = keys.as_ref().map(|keys| keys.row(row));
            match self.open.take(bytes(key.as_ref()), end.saturating_sub(self.gap_us), *watermark) {
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
            out.chunks.push(self.results(&ended)?);
        }
        Ok(())
    }

    fn next_close(&self) -> Option<i64> {
        self.open.next_close()
    }

    /// Two batches: the open sessions, and their partial results.
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let partial = self.parts.as_one(&mut self.open)?;
        let (keys, spans) = self.open.spans();
        let mut columns = match &self.converter {
            Some(converter) if !self.keys.is_empty() => {
                let parser = converter.parser();
                converter.convert_rows(keys.iter().map(|key| parser.parse(key)))?
            }
            _ => Vec::new(),
        };
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
        let keys = self.keys_of(&open.columns()[..self.keys.len()])?;
        let keys = (0..open.num_rows()).map(|row| {
            let key = keys.as_ref().map(|keys| keys.row(row));
            Box::from(bytes(key.as_ref()))
        });
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
        let keys = self.keys.iter().map(|key| self.step.key_schema.field(*key).clone());
        open::span_schema(keys.collect())
    }
}

fn bytes<'a>(key: Option<&'a Row<'_>>) -> &'a [u8] {
    key.map_or(&[], AsRef::as_ref)
}
