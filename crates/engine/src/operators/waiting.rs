//! Rows that wait until all rows of an earlier time are there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::rowwise::with_row_count;
use super::shelf::{Place, Shelf};
use super::{Chunk, Late, Outbox};
use crate::RunError;

/// The name of the column that a state has behind those of the rows.
const TIME: &str = "_time";

/// Rows by time; those of one time in the order in which they came.
pub(super) struct Waiting {
    shelf: Shelf,
    queue: BinaryHeap<Reverse<(i64, u64, Place)>>,
    next: u64,
}

/// Rows in the order of their time.
pub(super) struct InOrder {
    pub batch: RecordBatch,
    pub times: Vec<i64>,
}

impl Waiting {
    pub fn new(schema: SchemaRef) -> Waiting {
        Waiting { shelf: Shelf::new(schema), queue: BinaryHeap::new(), next: 0 }
    }

    /// Takes in the rows of a chunk that are on time: at or behind the watermark before them.
    pub fn take(&mut self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let chunk = on_time(chunk, out)?;
        self.put(chunk.batch, chunk.times.values())
    }

    fn put(&mut self, batch: RecordBatch, times: &[i64]) -> Result<(), RunError> {
        let schema = Arc::clone(self.shelf.schema());
        let rows = batch.num_rows();
        let batch = with_row_count(&schema, batch.columns().to_vec(), rows)?;
        for (place, time) in self.shelf.put(batch).zip(times) {
            self.queue.push(Reverse((*time, self.next, place)));
            self.next += 1;
        }
        self.tidy()
    }

    /// Takes out the rows with a time below `watermark`: nothing can come between them any more.
    pub fn release(&mut self, watermark: i64) -> Result<Option<InOrder>, RunError> {
        let (mut places, mut times) = (Vec::new(), Vec::new());
        while let Some(Reverse((time, _, place))) = self.queue.peek().copied()
            && time < watermark
        {
            self.queue.pop();
            places.push(place);
            times.push(time);
        }
        if places.is_empty() {
            return Ok(None);
        }
        let batch = self.shelf.rows(&places)?;
        for place in places {
            self.shelf.remove(place);
        }
        Ok(Some(InOrder { batch, times }))
    }

    /// The watermark at which the next row can go.
    pub fn next_release(&self) -> Option<i64> {
        self.queue.peek().map(|Reverse((time, ..))| time.saturating_add(1))
    }

    /// The rows in the order in which they go, with their times behind the columns.
    pub fn state(&mut self) -> Result<RecordBatch, RunError> {
        let mut all: Vec<(i64, u64, Place)> = self.queue.iter().map(|Reverse(entry)| *entry).collect();
        all.sort_unstable();
        let places: Vec<Place> = all.iter().map(|(.., place)| *place).collect();
        let mut columns = self.shelf.rows(&places)?.columns().to_vec();
        columns.push(Arc::new(Int64Array::from_iter_values(all.iter().map(|(time, ..)| *time))));
        with_row_count(&with_times(self.shelf.schema()), columns, places.len())
    }

    pub fn restore(&mut self, state: &RecordBatch) -> Result<(), RunError> {
        super::slice::check_columns(&state.schema(), &with_times(self.shelf.schema()))?;
        *self = Waiting::new(Arc::clone(self.shelf.schema()));
        let columns = state.columns();
        let Some((times, columns)) = columns.split_last() else { return Ok(()) };
        let batch = with_row_count(self.shelf.schema(), columns.to_vec(), state.num_rows())?;
        self.put(batch, times.as_primitive::<Int64Type>().values())
    }

    pub fn bytes(&self) -> usize {
        self.shelf.bytes() + self.queue.capacity() * size_of::<Reverse<(i64, u64, Place)>>()
    }

    fn tidy(&mut self) -> Result<(), RunError> {
        if !self.shelf.is_wasteful() {
            return Ok(());
        }
        let mut all: Vec<(i64, u64, Place)> = self.queue.drain().map(|Reverse(entry)| entry).collect();
        all.sort_unstable();
        let places: Vec<Place> = all.iter().map(|(.., place)| *place).collect();
        let moved = self.shelf.tidy(&places)?;
        self.queue = all
            .iter()
            .zip(moved)
            .map(|((time, number, _), place)| Reverse((*time, *number, place)))
            .collect();
        Ok(())
    }
}

/// The rows of a chunk that are not too late; the others go out. Rows without a lineage come from operators, which give
/// nothing late.
fn on_time(chunk: Chunk, out: &mut Outbox) -> Result<Chunk, RunError> {
    let Some(lineage) = &chunk.lineage else { return Ok(chunk) };
    let (mut kept, mut late) = (Vec::new(), Late::default());
    for (row, (time, watermark)) in chunk.times.values().iter().zip(lineage.watermarks.values()).enumerate() {
        match time < watermark {
            true => late.push(row, watermark.saturating_sub(*time)),
            false => kept.push(row as u32),
        }
    }
    if late.rows.is_empty() {
        return Ok(chunk);
    }
    out.late.push(lineage.late_rows(late)?);
    chunk.take(&UInt32Array::from(kept))
}

fn with_times(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(TIME, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}
