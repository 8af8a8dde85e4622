//! Partial results of windows that are open, each under a number: of sessions, and of windows of so many rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use hashbrown::HashMap;

use super::pane::{Inputs, Pane, state_schema};
use super::slice::check_columns;
use super::{Chunk, given};
use crate::RunError;
use crate::plan::AggregateStep;

/// Used rows are kept until they outnumber the others, and this many in any case.
const SLACK_ROWS: usize = 4_096;

/// A window that is complete.
#[derive(Debug)]
pub(super) struct Ended {
    pub start: i64,
    pub end: i64,
    /// Those under which its rows were gathered.
    pub numbers: Vec<i64>,
}

/// The rows that come out of windows.
struct Results {
    /// For each row the index of its window, in order.
    windows: Vec<i64>,
    keys: Vec<ArrayRef>,
    /// A column for each aggregate.
    values: Vec<ArrayRef>,
}

/// What the rows of open windows have given so far.
pub(super) struct Parts {
    step: Arc<AggregateStep>,
    /// The number of the window, then the keys of the step.
    key_schema: SchemaRef,
    /// Takes rows in.
    hot: Option<Pane>,
    sealed: Vec<RecordBatch>,
    sealed_rows: usize,
    /// Where the rows of a number lie among the sealed: batch and row. Those that were used are not in it.
    places: HashMap<i64, Vec<(u32, u32)>>,
    placed_rows: usize,
}

impl Parts {
    pub fn new(step: Arc<AggregateStep>) -> Parts {
        let key_schema = with_number(&step.key_schema);
        Parts {
            step,
            key_schema,
            hot: None,
            sealed: Vec::new(),
            sealed_rows: 0,
            places: HashMap::new(),
            placed_rows: 0,
        }
    }

    /// Takes rows of windows with these numbers.
    pub fn update(&mut self, mut inputs: Inputs, numbers: Vec<i64>) -> Result<(), RunError> {
        inputs.keys.insert(0, Arc::new(Int64Array::from(numbers)));
        let hot = match &mut self.hot {
            Some(hot) => hot,
            None => self.hot.insert(Pane::new(&self.step, &self.key_schema)?),
        };
        hot.update(&inputs)
    }

    /// Takes out the results of windows that are complete, in their order.
    pub fn results(&mut self, ended: &[Ended]) -> Result<Chunk, RunError> {
        let Results { windows, keys, values } = self.take(ended)?;
        let bounds = |bound: fn(&Ended) -> i64| {
            let bounds = windows.iter().map(|at| ended.get(*at as usize).map_or(0, bound));
            TimestampMicrosecondArray::from_iter_values(bounds)
        };
        given(&self.step, bounds(|ended| ended.start), bounds(|ended| ended.end), keys, values)
    }

    fn take(&mut self, ended: &[Ended]) -> Result<Results, RunError> {
        self.seal()?;
        let (mut places, mut indices) = (Vec::new(), Vec::new());
        for (index, window) in ended.iter().enumerate() {
            for number in &window.numbers {
                for (batch, row) in self.places.remove(number).unwrap_or_default() {
                    places.push((batch as usize, row as usize));
                    indices.push(index as i64);
                }
            }
        }
        self.placed_rows -= places.len();
        let mut pane = Pane::new(&self.step, &self.key_schema)?;
        if !places.is_empty() {
            pane.merge(&self.step, &self.gathered(&places, indices)?)?;
        }
        if self.sealed_rows > 2 * self.placed_rows + SLACK_ROWS {
            self.compact(&HashMap::new())?;
        }
        let (mut keys, values, _) = pane.close()?;
        let windows = keys.remove(0).as_primitive::<Int64Type>().values().to_vec();
        Ok(Results { windows, keys, values })
    }

    /// Rows of the sealed batches, under other numbers.
    fn gathered(&self, places: &[(usize, usize)], numbers: Vec<i64>) -> Result<RecordBatch, RunError> {
        let batches: Vec<&RecordBatch> = self.sealed.iter().collect();
        let rows = interleave_record_batch(&batches, places)?;
        let mut columns = rows.columns().to_vec();
        columns[0] = Arc::new(Int64Array::from(numbers));
        Ok(RecordBatch::try_new(rows.schema(), columns)?)
    }

    /// What the hot pane holds becomes a sealed batch.
    fn seal(&mut self) -> Result<(), RunError> {
        match self.hot.take() {
            Some(hot) => {
                let state = hot.state(&self.step)?;
                self.place(state);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn place(&mut self, batch: RecordBatch) {
        let at = self.sealed.len() as u32;
        let numbers = batch.column(0).as_primitive::<Int64Type>().values();
        for (number, row) in numbers.iter().zip(0..) {
            self.places.entry(*number).or_default().push((at, row));
        }
        self.sealed_rows += batch.num_rows();
        self.placed_rows += batch.num_rows();
        self.sealed.push(batch);
    }

    /// Everything that is not used as one batch with a row for each window and key; `joined` tells numbers that have
    /// become others.
    fn compact(&mut self, joined: &HashMap<i64, i64>) -> Result<(), RunError> {
        let mut order: Vec<(i64, (u32, u32))> = Vec::with_capacity(self.placed_rows);
        for (number, places) in self.places.drain() {
            order.extend(places.into_iter().map(|place| (number, place)));
        }
        order.sort_unstable_by_key(|(_, place)| *place);
        let places: Vec<_> = order.iter().map(|(_, (batch, row))| (*batch as usize, *row as usize)).collect();
        let numbers = order.iter().map(|(number, _)| *joined.get(number).unwrap_or(number)).collect();
        let mut pane = Pane::new(&self.step, &self.key_schema)?;
        if !places.is_empty() {
            pane.merge(&self.step, &self.gathered(&places, numbers)?)?;
        }
        self.sealed.clear();
        (self.sealed_rows, self.placed_rows) = (0, 0);
        let state = pane.state(&self.step)?;
        self.place(state);
        Ok(())
    }

    /// Everything as one batch, in which each open window has one number; stays here. `joined` tells numbers that have
    /// become others.
    pub fn as_one(&mut self, joined: &HashMap<i64, i64>) -> Result<RecordBatch, RunError> {
        self.seal()?;
        self.compact(joined)?;
        self.sealed.first().cloned().ok_or(RunError::State { what: "partial results are missing" })
    }

    /// Goes on from what [`Parts::as_one`] gave.
    pub fn restore(&mut self, batch: RecordBatch) -> Result<(), RunError> {
        let expected = state_schema(&self.step, &self.key_schema)?;
        check_columns(&batch.schema(), &expected)?;
        *self = Parts::new(Arc::clone(&self.step));
        self.place(batch);
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        let sealed = self.sealed.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
        let places = self.places.capacity() * size_of::<(i64, Vec<(u32, u32)>)>()
            + self.placed_rows * size_of::<(u32, u32)>();
        sealed + places + self.hot.as_ref().map_or(0, Pane::bytes)
    }
}

/// Keys with the number of a window in front.
fn with_number(keys: &Schema) -> SchemaRef {
    let mut fields = vec![Field::new("session", DataType::Int64, false)];
    fields.extend(keys.fields().iter().map(|field| field.as_ref().clone()));
    Arc::new(Schema::new(fields))
}
