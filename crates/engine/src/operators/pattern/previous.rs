//! `PREV`: values of the rows before, in the same partition, as columns of a chunk.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use hashbrown::HashMap;

use crate::RunError;
use crate::operators::Chunk;
use crate::operators::broken::evaluate;
use crate::plan::pattern::PatternStep;

/// The last rows of each partition, as many as PREV looks back.
pub(super) struct PreviousRows {
    rows_kept: usize,
    /// By partition the values of each PREV, the oldest row first.
    last: HashMap<Box<[u8]>, VecDeque<Vec<ScalarValue>>>,
    bytes: usize,
}

impl PreviousRows {
    pub fn new(step: &PatternStep) -> PreviousRows {
        let rows_kept = step.previous.iter().map(|previous| previous.rows).max().unwrap_or(0);
        PreviousRows { rows_kept, last: HashMap::new(), bytes: 0 }
    }

    /// The values of the rows of a chunk that PREV asks for.
    pub fn values(step: &PatternStep, chunk: &Chunk) -> Result<Vec<ArrayRef>, RunError> {
        step.previous.iter().map(|previous| evaluate(&previous.expr, &chunk.batch)).collect()
    }

    /// A column for each PREV, of rows with these values. `keys` tell the partition of each row.
    pub fn columns(
        &self,
        step: &PatternStep,
        values: &[ArrayRef],
        keys: &[&[u8]],
    ) -> Result<Vec<ArrayRef>, RunError> {
        let mut rows_of: HashMap<&[u8], Vec<u32>> = HashMap::new();
        let mut before: Vec<Vec<Place>> = vec![Vec::with_capacity(keys.len()); step.previous.len()];
        for (row, key) in keys.iter().enumerate() {
            let rows = rows_of.entry(key).or_default();
            rows.push(row as u32);
            for (previous, places) in step.previous.iter().zip(&mut before) {
                places.push(match rows.len().checked_sub(previous.rows + 1) {
                    Some(at) => Place::Chunk(rows[at]),
                    None => Place::Before { row: row as u32, rows: previous.rows + 1 - rows.len() },
                });
            }
        }
        let columns = before.iter().zip(values).enumerate();
        columns.map(|(number, (places, values))| self.column(number, places, values, keys)).collect()
    }

    /// Rows with these values are the last ones from here on.
    pub fn keep(&mut self, values: &[ArrayRef], keys: &[&[u8]]) -> Result<(), RunError> {
        if values.is_empty() {
            return Ok(());
        }
        let mut rows_of: HashMap<&[u8], Vec<u32>> = HashMap::new();
        for (row, key) in keys.iter().enumerate() {
            rows_of.entry(key).or_default().push(row as u32);
        }
        rows_of.into_iter().try_for_each(|(key, rows)| self.keep_last(key, &rows, values))
    }

    fn column(
        &self,
        number: usize,
        places: &[Place],
        values: &ArrayRef,
        keys: &[&[u8]],
    ) -> Result<ArrayRef, RunError> {
        let mut kept = Vec::new();
        let indices = places.iter().map(|place| match place {
            Place::Chunk(row) => Some(*row),
            Place::Before { row, rows } => {
                let last = self.last.get(keys[*row as usize])?;
                let value = last.get(last.len().checked_sub(*rows)?)?.get(number)?;
                kept.push(value.clone());
                Some((values.len() + kept.len() - 1) as u32)
            }
        });
        let indices = UInt32Array::from_iter(indices.collect::<Vec<_>>());
        let kept = match kept.is_empty() {
            true => new_null_array(values.data_type(), 0),
            false => ScalarValue::iter_to_array(kept)?,
        };
        let all = concat(&[values.as_ref(), kept.as_ref()])?;
        Ok(take(&all, &indices, None)?)
    }

    fn keep_last(&mut self, key: &[u8], rows: &[u32], values: &[ArrayRef]) -> Result<(), RunError> {
        let skipped = rows.len().saturating_sub(self.rows_kept);
        for row in &rows[skipped..] {
            let row = values.iter().map(|values| ScalarValue::try_from_array(values, *row as usize));
            self.push(key, row.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(())
    }

    fn push(&mut self, key: &[u8], row: Vec<ScalarValue>) {
        let last = match self.last.get_mut(key) {
            Some(last) => last,
            None => {
                self.bytes += key.len() + size_of::<(Box<[u8]>, VecDeque<Vec<ScalarValue>>)>();
                self.last.entry(Box::from(key)).or_default()
            }
        };
        self.bytes += bytes_of(&row);
        last.push_back(row);
        if last.len() > self.rows_kept
            && let Some(oldest) = last.pop_front()
        {
            self.bytes -= bytes_of(&oldest);
        }
    }

    /// The rows of a snapshot, ordered by partition, the oldest first.
    pub fn rows(&self) -> Vec<(&[u8], &[ScalarValue])> {
        let mut rows: Vec<(&[u8], usize, &[ScalarValue])> = Vec::new();
        for (key, last) in &self.last {
            rows.extend(last.iter().enumerate().map(|(at, row)| (key.as_ref(), at, row.as_slice())));
        }
        rows.sort_unstable_by_key(|(key, at, _)| (*key, *at));
        rows.into_iter().map(|(key, _, row)| (key, row)).collect()
    }

    pub fn restore(&mut self, key: &[u8], row: Vec<ScalarValue>) {
        self.push(key, row);
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Where a value of PREV stands.
#[derive(Clone)]
enum Place {
    /// In this row of the chunk.
    Chunk(u32),
    /// So many rows before the first row that the chunk has of the partition of `row`.
    Before { row: u32, rows: usize },
}

fn bytes_of(row: &[ScalarValue]) -> usize {
    row.iter().map(ScalarValue::size).sum::<usize>() + size_of::<Vec<ScalarValue>>()
}

/// The values of rows as columns of some types.
pub(super) fn columns_of<'a>(
    types: &[DataType],
    rows: impl Iterator<Item = &'a [ScalarValue]> + Clone,
) -> Result<Vec<ArrayRef>, RunError> {
    let column = |(number, ty): (usize, &DataType)| {
        let mut values = rows.clone().filter_map(|row| row.get(number).cloned()).peekable();
        match values.peek() {
            None => Ok(new_null_array(ty, 0)),
            Some(_) => Ok(ScalarValue::iter_to_array(values)?),
        }
    };
    types.iter().enumerate().map(column).collect()
}
