//! Rows that are kept for later, each at a place of its own.
//!
//! Batches are kept as they came, and rows of several are put together when they are needed. Where most of a batch has gone,
//! or batches are small, the rest is put into one batch; that changes places, so whoever holds them asks for it.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;

use super::rowwise::with_row_count;
use crate::RunError;

/// Batches that are worth being put together.
const BATCHES: usize = 1_024;
/// Below so many rows in each of them.
const SMALL: usize = 16;

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    batch: u32,
    row: u32,
}

pub(super) struct Shelf {
    schema: SchemaRef,
    /// With the number of their rows that are still there.
    batches: Vec<Option<(RecordBatch, usize)>>,
    free: Vec<u32>,
    rows: usize,
    rows_held: usize,
    bytes: usize,
}

impl Shelf {
    pub fn new(schema: SchemaRef) -> Shelf {
        Shelf { schema, batches: Vec::new(), free: Vec::new(), rows: 0, rows_held: 0, bytes: 0 }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The places of the rows, in their order.
    pub fn put(&mut self, batch: RecordBatch) -> impl Iterator<Item = Place> + use<> {
        let rows = batch.num_rows();
        let mut at = 0;
        if rows > 0 {
            self.rows += rows;
            self.rows_held += rows;
            self.bytes += batch.get_array_memory_size();
            let entry = Some((batch, rows));
            match self.free.pop() {
                Some(free) => {
                    at = free;
                    self.batches[free as usize] = entry;
                }
                None => {
                    at = self.batches.len() as u32;
                    self.batches.push(entry);
                }
            }
        }
        (0..rows as u32).map(move |row| Place { batch: at, row })
    }

    /// A row is not needed any more.
    pub fn remove(&mut self, place: Place) {
        let Some(slot) = self.batches.get_mut(place.batch as usize) else { return };
        let Some((batch, live)) = slot else { return };
        *live -= 1;
        self.rows -= 1;
        if *live == 0 {
            self.rows_held -= batch.num_rows();
            self.bytes -= batch.get_array_memory_size();
            *slot = None;
            self.free.push(place.batch);
        }
    }

    /// The rows at some places; where there is none, a row of nulls.
    pub fn gather(&self, places: &[Option<Place>]) -> Result<Vec<ArrayRef>, RunError> {
        let found = self.find(places)?;
        (0..self.schema.fields().len()).map(|column| self.interleaved(column, &found)).collect()
    }

    /// One column of the rows at some places; where there is none, null.
    pub fn gather_column(&self, column: usize, places: &[Option<Place>]) -> Result<ArrayRef, RunError> {
        self.interleaved(column, &self.find(places)?)
    }

    fn interleaved(&self, column: usize, found: &Found<'_>) -> Result<ArrayRef, RunError> {
        let nulls = new_null_array(self.schema.field(column).data_type(), 1);
        let batches = found.batches.iter().map(|batch| batch.column(column).as_ref());
        let arrays: Vec<&dyn Array> = std::iter::once(nulls.as_ref()).chain(batches).collect();
        Ok(interleave(&arrays, &found.indices)?)
    }

    fn find(&self, places: &[Option<Place>]) -> Result<Found<'_>, RunError> {
        let mut used: HashMap<u32, usize> = HashMap::new();
        let mut found = Found { batches: Vec::new(), indices: Vec::with_capacity(places.len()) };
        let mut last = (u32::MAX, 0);
        for place in places {
            let Some(place) = place else {
                found.indices.push((0, 0));
                continue;
            };
            if place.batch != last.0 {
                let at = match used.get(&place.batch) {
                    Some(at) => *at,
                    None => {
                        let slot = self.batches.get(place.batch as usize).and_then(Option::as_ref);
                        let (batch, _) =
                            slot.ok_or(RunError::State { what: "a row that is needed has been given away" })?;
                        found.batches.push(batch);
                        used.insert(place.batch, found.batches.len());
                        found.batches.len()
                    }
                };
                last = (place.batch, at);
            }
            found.indices.push((last.1, place.row as usize));
        }
        Ok(found)
    }

    /// The rows at some places as a batch. Neighbors are not copied.
    pub fn rows(&self, places: &[Place]) -> Result<RecordBatch, RunError> {
        if let (Some(first), true) = (places.first(), are_neighbors(places))
            && let Some((batch, _)) = self.batches.get(first.batch as usize).and_then(Option::as_ref)
        {
            return Ok(batch.slice(first.row as usize, places.len()));
        }
        let places: Vec<Option<Place>> = places.iter().copied().map(Some).collect();
        with_row_count(&self.schema, self.gather(&places)?, places.len())
    }

    /// Whether it holds much more than is needed.
    pub fn is_wasteful(&self) -> bool {
        let batches = self.batches.len() - self.free.len();
        self.rows_held > 4 * self.rows + BATCHES || (batches > BATCHES && self.rows < batches * SMALL)
    }

    /// Puts the rows at all places that are needed into one batch, where they are in this order.
    pub fn tidy(&mut self, places: &[Place]) -> Result<impl Iterator<Item = Place> + use<>, RunError> {
        let batch = match places.is_empty() {
            true => RecordBatch::new_empty(self.schema.clone()),
            false => {
                let places: Vec<Option<Place>> = places.iter().copied().map(Some).collect();
                with_row_count(&self.schema, self.gather(&places)?, places.len())?
            }
        };
        *self = Shelf::new(self.schema.clone());
        Ok(self.put(batch))
    }

    pub fn bytes(&self) -> usize {
        self.bytes + self.batches.capacity() * size_of::<Option<(RecordBatch, usize)>>()
    }
}

/// The batches in which rows lie, and where in them; 0 is a batch with one row of nulls before them.
struct Found<'a> {
    batches: Vec<&'a RecordBatch>,
    indices: Vec<(usize, usize)>,
}

fn are_neighbors(places: &[Place]) -> bool {
    let follows = |pair: &[Place]| pair[0].batch == pair[1].batch && pair[0].row + 1 == pair[1].row;
    places.windows(2).all(follows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn batch(values: &[i64]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(values.to_vec()))]).unwrap()
    }

    fn values(columns: &[ArrayRef]) -> Vec<Option<i64>> {
        columns[0].as_primitive::<Int64Type>().iter().collect()
    }

    #[test]
    fn rows_are_found_again_in_any_order_and_beside_rows_that_are_not_there() {
        let mut shelf = Shelf::new(batch(&[]).schema());
        let first: Vec<Place> = shelf.put(batch(&[1, 2, 3])).collect();
        let second: Vec<Place> = shelf.put(batch(&[4, 5])).collect();
        let wanted = [Some(second[1]), None, Some(first[0]), Some(second[1])];
        assert_eq!(values(&shelf.gather(&wanted).unwrap()), [Some(5), None, Some(1), Some(5)]);
        assert_eq!(values(shelf.rows(&first[1..]).unwrap().columns()), [Some(2), Some(3)]);
        for place in first {
            shelf.remove(place);
        }
        // The place of a batch that has gone is given to the next one.
        let third: Vec<Place> = shelf.put(batch(&[6])).collect();
        assert_eq!(values(&shelf.gather(&[Some(third[0]), Some(second[0])]).unwrap()), [Some(6), Some(4)]);
    }

    #[test]
    fn what_is_left_of_many_batches_is_put_into_one() {
        let mut shelf = Shelf::new(batch(&[]).schema());
        let mut kept = Vec::new();
        for number in 0..2_000 {
            let places: Vec<Place> = shelf.put(batch(&[number, -1])).collect();
            shelf.remove(places[1]);
            kept.push(places[0]);
        }
        assert!(shelf.is_wasteful());
        let before = shelf.bytes();
        let moved: Vec<Place> = shelf.tidy(&kept).unwrap().collect();
        assert!(!shelf.is_wasteful() && shelf.bytes() < before / 2);
        let expected: Vec<Option<i64>> = (0..2_000).map(Some).collect();
        assert_eq!(values(shelf.rows(&moved).unwrap().columns()), expected);
    }
}
