//! Functions with OVER: each row is computed from those before it of the same key.
//!
//! Rows come in the order of their time, all rows of one time together. Of every key the last rows are kept, as many and as
//! long as a frame reaches back, and only their arguments. The rows of each frame are gathered and aggregated anew, in
//! their order: what comes out is then the same after a restart, to the last digit.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::broken::evaluate;
use super::pane::accumulator;
use super::rowwise::with_row_count;
use super::shelf::{Place, Shelf};
use super::{Chunk, Operator, Outbox, Side};
use crate::plan::{AggregateCall, Frame, OverCall, OverFunction, OverStep, Which};
use crate::{RunError, ipc};

/// Rows of frames are gathered in pieces of this many.
const GATHERED: usize = 65_536;

pub(super) struct Over {
    step: Arc<OverStep>,
    /// How far the frames reach back, all together.
    reach: Reach,
    /// The arguments of all calls.
    shelf: Shelf,
    series: HashMap<Box<[u8]>, Series>,
    /// When a series that frames by time alone look at is not needed any more, if nothing comes.
    queue: BinaryHeap<Reverse<(i64, Box<[u8]>)>>,
}

#[derive(Clone, Copy, Default)]
struct Reach {
    rows: u64,
    time_us: i64,
}

/// The last rows of one key.
#[derive(Default)]
struct Series {
    rows: VecDeque<(i64, Place)>,
    is_queued: bool,
}

impl Series {
    /// The places of a frame, for the row at `at`.
    fn frame(&self, frame: Frame, at: usize) -> std::ops::Range<usize> {
        match frame {
            Frame::Rows { from, to } => {
                let from = at.saturating_sub(from as usize);
                let end = (at + 1).saturating_sub(to as usize);
                from.min(end)..end
            }
            Frame::Time { from_us, to_us } => {
                let time = self.rows[at].0;
                let from = time.saturating_sub(from_us);
                let to = time.saturating_sub(to_us);
                let start = self.rows.partition_point(|(time, _)| *time < from);
                start..self.rows.partition_point(|(time, _)| *time <= to).max(start)
            }
        }
    }

    /// Takes out what no frame of a later row can hold.
    fn trim(&mut self, reach: Reach, shelf: &mut Shelf) {
        let Some((last, _)) = self.rows.back().copied() else { return };
        let from = last.saturating_sub(reach.time_us);
        while self.rows.len() as u64 > reach.rows
            && let Some((_, place)) = self.rows.pop_front_if(|(time, _)| *time < from)
        {
            shelf.remove(place);
        }
    }
}

/// Where a row stands: among the rows of which key.
struct Stand {
    key: Box<[u8]>,
    at: usize,
}

impl Over {
    pub fn new(step: Arc<OverStep>) -> Over {
        let mut reach = Reach::default();
        for call in &step.calls {
            match call.frame {
                Frame::Rows { from, .. } => reach.rows = reach.rows.max(from),
                Frame::Time { from_us, .. } => reach.time_us = reach.time_us.max(from_us),
            }
        }
        let shelf = Shelf::new(Arc::clone(&step.kept));
        Over { step, reach, shelf, series: HashMap::new(), queue: BinaryHeap::new() }
    }

    /// The arguments of all calls, one after the other, as columns of their own.
    fn arguments(&self, batch: &RecordBatch) -> Result<RecordBatch, RunError> {
        let rows = batch.num_rows();
        let exprs = self.step.calls.iter().flat_map(OverCall::exprs);
        let columns = exprs.map(|expr| evaluate(expr, batch));
        with_row_count(&self.step.kept, columns.collect::<Result<_, RunError>>()?, rows)
    }

    /// Lays rows down behind those of their keys; returns where each of them stands.
    fn append(&mut self, chunk: &Chunk) -> Result<Vec<Stand>, RunError> {
        let keys = self.step.keys.of(&chunk.batch)?;
        let places = self.shelf.put(self.arguments(&chunk.batch)?);
        let mut stands = Vec::with_capacity(chunk.batch.num_rows());
        for ((row, place), time) in places.enumerate().zip(chunk.times.values()) {
            let key = keys.or_null(row);
            let series = match self.series.get_mut(key) {
                Some(series) => series,
                None => self.series.entry(key.into()).or_default(),
            };
            series.rows.push_back((*time, place));
            stands.push(Stand { at: series.rows.len() - 1, key: key.into() });
        }
        Ok(stands)
    }

    /// The column of a call for rows that stand where they were laid; its arguments are the columns from `first` on.
    fn call(&self, call: &OverCall, first: usize, stands: &[Stand]) -> Result<ArrayRef, RunError> {
        let framed = stands.iter().map(|Stand { key, at }| {
            let series = &self.series[key];
            (series, series.frame(call.frame, *at))
        });
        match &call.function {
            OverFunction::Aggregate(aggregate) => self.aggregate(aggregate, first, framed),
            OverFunction::Pick { which, default, .. } => {
                let picked = framed.map(|(series, frame)| {
                    let at = match which {
                        Which::FromFirst(nth) => frame.start.saturating_add(*nth as usize),
                        Which::Last => frame.end.saturating_sub(1),
                    };
                    frame.contains(&at).then(|| series.rows[at].1)
                });
                let picked: Vec<Option<Place>> = picked.collect();
                let column = self.shelf.gather_column(first, &picked)?;
                if default.is_null() {
                    return Ok(column);
                }
                let there = picked.iter().map(Option::is_some).collect::<arrow::array::BooleanArray>();
                Ok(arrow::compute::kernels::zip::zip(&there, &column, &default.to_scalar()?)?)
            }
        }
    }

    fn aggregate<'a>(
        &self,
        call: &AggregateCall,
        first: usize,
        framed: impl Iterator<Item = (&'a Series, std::ops::Range<usize>)>,
    ) -> Result<ArrayRef, RunError> {
        // A group of an accumulator has at least one row. Where a frame has none, the value of nothing stands: row 0.
        let nothing = call.function.create_accumulator()?.evaluate()?.to_array()?;
        let mut results: Vec<ArrayRef> = vec![nothing];
        let mut indices: Vec<(usize, usize)> = Vec::new();
        let mut piece =
            Piece { accumulator: accumulator(call)?, groups: 0, places: Vec::new(), of: Vec::new() };
        for (series, frame) in framed {
            if frame.is_empty() {
                indices.push((0, 0));
                continue;
            }
            indices.push((results.len(), piece.groups));
            piece.groups += 1;
            for (_, place) in series.rows.range(frame) {
                piece.places.push(Some(*place));
                piece.of.push(piece.groups - 1);
                if piece.places.len() >= GATHERED {
                    piece.update(call, first, &self.shelf)?;
                }
            }
            if piece.places.len() >= GATHERED / 2 {
                piece.update(call, first, &self.shelf)?;
                results.push(piece.accumulator.evaluate(EmitTo::All)?);
                (piece.accumulator, piece.groups) = (accumulator(call)?, 0);
            }
        }
        if piece.groups > 0 {
            piece.update(call, first, &self.shelf)?;
            results.push(piece.accumulator.evaluate(EmitTo::All)?);
        }
        let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&results, &indices)?)
    }

    /// Takes out what no later row needs, of the keys that have been touched.
    fn trim(&mut self, stands: Vec<Stand>) -> Result<(), RunError> {
        for Stand { key, .. } in stands {
            let Some(series) = self.series.get_mut(&key) else { continue };
            series.trim(self.reach, &mut self.shelf);
            if self.reach.rows == 0
                && !series.is_queued
                && let Some((last, _)) = series.rows.back()
            {
                series.is_queued = true;
                self.queue.push(Reverse((last.saturating_add(self.reach.time_us), key)));
            }
        }
        self.tidy()
    }

    fn tidy(&mut self) -> Result<(), RunError> {
        if self.shelf.is_wasteful() {
            let rows = || self.series.values().flat_map(|series| &series.rows);
            let places: Vec<Place> = rows().map(|(_, place)| *place).collect();
            let mut moved = self.shelf.tidy(&places)?;
            for (_, place) in self.series.values_mut().flat_map(|series| &mut series.rows) {
                *place = moved.next().unwrap_or(*place);
            }
        }
        Ok(())
    }
}

/// Rows of frames on their way into an accumulator, which has a group for each frame.
struct Piece {
    accumulator: Box<dyn GroupsAccumulator>,
    groups: usize,
    places: Vec<Option<Place>>,
    of: Vec<usize>,
}

impl Piece {
    fn update(&mut self, call: &AggregateCall, first: usize, shelf: &Shelf) -> Result<(), RunError> {
        let arguments =
            (first..first + call.arguments.len()).map(|column| shelf.gather_column(column, &self.places));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let filter = match call.filter {
            Some(_) => {
                Some(shelf.gather_column(first + call.arguments.len(), &self.places)?.as_boolean().clone())
            }
            None => None,
        };
        self.accumulator.update_batch(&arguments, &self.of, filter.as_ref(), self.groups)?;
        self.places.clear();
        self.of.clear();
        Ok(())
    }
}

impl Operator for Over {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let stands = self.append(&chunk)?;
        let mut columns = chunk.batch.columns().to_vec();
        let mut first = 0;
        for call in &self.step.calls {
            columns.push(self.call(call, first, &stands)?);
            first += call.exprs().count();
        }
        let batch = with_row_count(&self.step.schema, columns, chunk.batch.num_rows())?;
        self.trim(stands)?;
        out.chunks.push(chunk.with_batch(batch));
        Ok(())
    }

    fn on_watermark(&mut self, watermark: i64, _out: &mut Outbox) -> Result<(), RunError> {
        while let Some(Reverse((until, _))) = self.queue.peek()
            && *until < watermark
            && let Some(Reverse((_, key))) = self.queue.pop()
        {
            let Some(series) = self.series.get_mut(&key) else { continue };
            let until =
                series.rows.back().map_or(i64::MIN, |(last, _)| last.saturating_add(self.reach.time_us));
            if until >= watermark {
                self.queue.push(Reverse((until, key)));
                continue;
            }
            for (_, place) in series.rows.drain(..) {
                self.shelf.remove(place);
            }
            self.series.remove(&key);
        }
        self.tidy()
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let mut series: Vec<(&[u8], &Series)> =
            self.series.iter().map(|(key, series)| (key.as_ref(), series)).collect();
        series.sort_unstable_by_key(|(key, _)| *key);
        let rows = series.iter().flat_map(|(key, series)| series.rows.iter().map(move |row| (*key, *row)));
        let mut rows: Vec<(&[u8], (i64, Place))> = rows.collect();
        // What stays from snapshot to snapshot then stands together: rows go at the front and come at the end.
        rows.sort_by_key(|(_, (time, _))| *time);
        let places: Vec<Place> = rows.iter().map(|(_, (_, place))| *place).collect();
        let mut columns = self.shelf.rows(&places)?.columns().to_vec();
        columns.push(Arc::new(BinaryArray::from_iter_values(rows.iter().map(|(key, _)| key))));
        columns.push(Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, (time, _))| *time))));
        let state = with_row_count(&state_schema(&self.step.kept), columns, places.len())?;
        Ok(Some(ipc::write_numbered(&[(0, state)])?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        let parts = ipc::read_numbered(state)?;
        let [(0, state)] = parts.as_slice() else {
            return Err(RunError::State { what: "it is not that of rows that were looked back at" });
        };
        super::slice::check_columns(&state.schema(), &state_schema(&self.step.kept))?;
        let (arguments, own) = state.columns().split_at(state.num_columns() - 2);
        let [keys, times] = own else { return Ok(()) };
        let batch = with_row_count(&self.step.kept, arguments.to_vec(), state.num_rows())?;
        let mut stands = Vec::new();
        let rows = self
            .shelf
            .put(batch)
            .zip(keys.as_binary::<i32>())
            .zip(times.as_primitive::<Int64Type>().values());
        for ((place, key), time) in rows {
            let key: Box<[u8]> = key.unwrap_or_default().into();
            self.series.entry(key.clone()).or_default().rows.push_back((*time, place));
            stands.push(Stand { key, at: 0 });
        }
        self.trim(stands)
    }

    fn state_bytes(&self) -> usize {
        let rows: usize = self.series.values().map(|series| series.rows.capacity()).sum();
        let key_bytes = self.series.keys().next().map_or(0, |key| key.len());
        let series = size_of::<(Box<[u8]>, Series)>() + 2 * key_bytes + size_of::<(i64, Box<[u8]>)>();
        self.shelf.bytes() + rows * size_of::<(i64, Place)>() + self.series.capacity() * series
    }
}

/// The arguments, then the key's bytes and the time.
fn state_schema(kept: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = kept.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_key", DataType::Binary, false)));
    fields.push(Arc::new(Field::new("_time", DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}
