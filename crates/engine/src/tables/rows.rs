//! The rows of a table at one moment, in the order of their key, and how they are found.
//!
//! Rows that are the same make the same batch, whatever order they were read in: two loads can be compared. The rows of one
//! key follow each other, those with VALID FROM in the order of time. The index is built once and shared by everybody
//! who looks rows up.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;

use super::reading::Bounds;
use super::{Definition, LoadError};
use crate::operators::without_negative_zero;

type Index = HashMap<Box<[u8]>, (u32, u32), ahash::RandomState>;

/// Rows that fit their table's declaration.
#[derive(Debug)]
pub struct TableRows {
    batch: RecordBatch,
    /// The first row of each key, and the one behind its last.
    index: Index,
    /// Since when each row holds.
    since: Option<TimestampMicrosecondArray>,
    /// Of rows and index.
    bytes: usize,
}

impl TableRows {
    /// Rows that have come in some order; `lines` are those in which they stood.
    pub fn new(
        definition: &Definition,
        from: &str,
        rows: &RecordBatch,
        lines: &[u64],
        bounds: Bounds,
    ) -> Result<TableRows, LoadError> {
        let unordered = |source: ArrowError| LoadError::Order { from: from.to_owned(), source };
        let keys = keys_of(definition, rows).map_err(unordered)?;
        let since = since_of(definition, rows);
        let time_of = |row: u32| since.as_ref().map_or(0, |since| since.value(row as usize));
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_by(|a, b| {
            let by_key = keys.row(*a as usize).cmp(&keys.row(*b as usize));
            by_key.then_with(|| time_of(*a).cmp(&time_of(*b)))
        });
        for pair in order.windows(2) {
            let (a, b) = (pair[0] as usize, pair[1] as usize);
            if keys.row(a) == keys.row(b) && time_of(pair[0]) == time_of(pair[1]) {
                return Err(twice(definition, from, rows, lines, [a, b]));
            }
        }
        let mut index = Index::default();
        for (place, row) in (0_u32..).zip(&order) {
            let key = keys.row(*row as usize);
            match index.get_mut(key.as_ref()) {
                Some((_, end)) => *end = place + 1,
                None => drop(index.insert(Box::from(key.as_ref()), (place, place + 1))),
            }
        }
        let batch = take_record_batch(rows, &UInt32Array::from(order)).map_err(unordered)?;
        let key_bytes: usize = index.keys().map(|key| key.len()).sum();
        let entry_bytes = size_of::<(Box<[u8]>, (u32, u32))>() + 1;
        let bytes = batch.get_array_memory_size() + key_bytes + index.capacity() * entry_bytes;
        // What the rows themselves take is bounded; the index is as large again at most.
        if batch.get_array_memory_size() > bounds.bytes_max.saturating_mul(2) {
            return Err(LoadError::TooLarge { from: from.to_owned(), bytes_max: bounds.bytes_max });
        }
        let since = since_of(definition, &batch);
        Ok(TableRows { batch, index, since, bytes })
    }

    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    /// Bytes in memory, with the index.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The row of a key that holds at `time`: without VALID FROM its only one, otherwise the last that holds since then or
    /// before.
    pub(crate) fn find(&self, key: &[u8], time: i64) -> Option<u32> {
        let (first, end) = *self.index.get(key)?;
        let Some(since) = &self.since else { return Some(first) };
        let times = &since.values()[first as usize..end as usize];
        let begun = times.partition_point(|since| *since <= time);
        begun.checked_sub(1).map(|place| first + place as u32)
    }
}

fn keys_of(definition: &Definition, rows: &RecordBatch) -> Result<arrow::row::Rows, ArrowError> {
    let columns: Vec<ArrayRef> =
        definition.key.iter().map(|column| without_negative_zero(rows.column(*column))).collect();
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
    RowConverter::new(fields.collect())?.convert_columns(&columns)
}

fn since_of(definition: &Definition, rows: &RecordBatch) -> Option<TimestampMicrosecondArray> {
    let column: &Arc<dyn Array> = rows.column(definition.valid_from?);
    column.as_primitive_opt::<TimestampMicrosecondType>().cloned()
}

/// Two rows with one key; the one that stood behind the other is too many.
fn twice(
    definition: &Definition,
    from: &str,
    rows: &RecordBatch,
    lines: &[u64],
    [a, b]: [usize; 2],
) -> LoadError {
    let line = |row: usize| lines.get(row).copied().unwrap_or_default();
    let (earlier, later) = if line(a) <= line(b) { (a, b) } else { (b, a) };
    let shown = definition.key.iter().chain(&definition.valid_from).map(|column| {
        let value = array_value_to_string(rows.column(*column), later).unwrap_or_default();
        format!("{} = {value}", definition.columns[*column].name)
    });
    let key = format!("({})", shown.collect::<Vec<_>>().join(", "));
    LoadError::Twice { from: from.to_owned(), line: line(later), earlier: line(earlier), key }
}
