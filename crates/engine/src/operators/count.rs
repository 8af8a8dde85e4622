//! Aggregation per window of so many rows, and key.
//!
//! Rows come in the order of their time. Each goes into the window of its key that is not full; the row that fills it ends it,
//! and the next one begins another. A window that never fills gives nothing.
//!
//! ```text
//! rows of a key   ●  ●  ●│ ●  ●  ●│ ●
//! windows of 3    └──────┘ └──────┘ └──  waits
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use hashbrown::HashMap;

use super::pane::Inputs;
use super::parts::{Ended, Parts};
use super::rowwise::with_row_count;
use super::slice::check_columns;
use super::window_keys::WindowKeys;
use super::{Chunk, Operator, Outbox, Side};
use crate::RunError;
use crate::ipc;
use crate::plan::{AggregateStep, Group};

pub(super) struct CountAggregate {
    step: Arc<AggregateStep>,
    /// Rows of a window.
    size: i64,
    keys: WindowKeys,
    /// The window of each key that is not full.
    filling: HashMap<Box<[u8]>, Filling>,
    next_number: i64,
    /// Windows that are given when time is told; none are left then.
    full: Vec<Full>,
    parts: Parts,
}

#[derive(Clone, Copy, Debug)]
struct Filling {
    start: i64,
    rows: i64,
    number: i64,
}

/// In the order in which they are given.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Full {
    end: i64,
    key: Box<[u8]>,
    start: i64,
    number: i64,
}

impl CountAggregate {
    pub fn new(step: Arc<AggregateStep>, size: i64, keys: Vec<usize>) -> CountAggregate {
        let keys = WindowKeys::new(&step, keys);
        let parts = Parts::new(Arc::clone(&step));
        let (filling, full) = (HashMap::new(), Vec::new());
        CountAggregate { step, size, keys, filling, next_number: 0, full, parts }
    }

    /// The number of the window that a row goes into.
    fn take(&mut self, key: &[u8], ts: i64) -> i64 {
        let filling = self.filling.entry_ref(key).or_insert_with(|| {
            self.next_number += 1;
            Filling { start: ts, rows: 0, number: self.next_number }
        });
        filling.rows += 1;
        let Filling { start, rows, number } = *filling;
        if rows >= self.size
            && let Some((key, _)) = self.filling.remove_entry(key)
        {
            self.full.push(Full { end: ts, key, start, number });
        }
        number
    }

    /// The windows that are full, in the order of their end and key. Those that GROUP BY cannot tell apart, since their rows
    /// are all of one time, are one.
    fn ended(&mut self) -> Vec<Ended> {
        let mut full = std::mem::take(&mut self.full);
        full.sort_unstable();
        let by_start = self.step.groups.iter().any(|group| matches!(group, Group::WindowStart));
        let is_same =
            |a: &Full, b: &Full| a.end == b.end && a.key == b.key && (a.start == b.start || !by_start);
        let one = |same: &[Full]| {
            let numbers = same.iter().map(|full| full.number).collect();
            Ended { start: same[0].start, end: same[0].end, numbers }
        };
        full.chunk_by(is_same).map(one).collect()
    }

    /// Keys, then when the window began, its rows and its number.
    fn filling_schema(&self) -> SchemaRef {
        let mut fields = self.keys.fields();
        fields.extend(["start", "rows", "number"].map(|name| Field::new(name, DataType::Int64, false)));
        Arc::new(Schema::new(fields))
    }
}

impl Operator for CountAggregate {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, _out: &mut Outbox) -> Result<(), RunError> {
        let inputs = Inputs::evaluate(&self.step, &chunk.batch)?;
        let keys = self.keys.of_groups(&inputs.keys)?;
        let times = chunk.times.values().iter().enumerate();
        let numbers = times.map(|(row, ts)| self.take(keys.of_row(row), *ts)).collect();
        self.parts.update(inputs, numbers)
    }

    fn on_watermark(&mut self, _watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        if !self.full.is_empty() {
            let ended = self.ended();
            out.chunks.push(self.parts.results(&ended)?);
        }
        Ok(())
    }

    /// Two batches: the windows that are not full, and their partial results.
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let partial = self.parts.as_one(&HashMap::new())?;
        let mut rows: Vec<(&[u8], Filling)> =
            self.filling.iter().map(|(key, filling)| (key.as_ref(), *filling)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let mut columns = self.keys.columns(rows.iter().map(|(key, _)| *key))?;
        let values = |value: fn(&Filling) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, filling)| value(filling))))
        };
        columns.push(values(|filling| filling.start));
        columns.push(values(|filling| filling.rows));
        columns.push(values(|filling| filling.number));
        let filling = with_row_count(&self.filling_schema(), columns, rows.len())?;
        Ok(Some(ipc::write_numbered(&[(0, filling), (1, partial)])?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        const WRONG: RunError = RunError::State { what: "it is not that of windows of so many rows" };
        let parts = ipc::read_numbered(state)?;
        let [(0, filling), (1, partial)] = parts.as_slice() else { return Err(WRONG) };
        check_columns(&filling.schema(), &self.filling_schema())?;
        self.parts.restore(partial.clone())?;
        let (keys, own) = filling.columns().split_at(filling.num_columns() - 3);
        let keys = self.keys.of(keys)?;
        let value = |column: &ArrayRef, row| column.as_primitive::<Int64Type>().value(row);
        for row in 0..filling.num_rows() {
            let [start, rows, number] = [0, 1, 2].map(|at| value(&own[at], row));
            self.next_number = self.next_number.max(number);
            self.filling.insert(keys.of_row(row).into(), Filling { start, rows, number });
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let key_bytes = self.filling.keys().next().map_or(0, |key| key.len());
        let filling = self.filling.capacity() * size_of::<(Box<[u8]>, Filling)>();
        self.parts.bytes() + filling + self.filling.len() * key_bytes
    }
}
