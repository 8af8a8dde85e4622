//! Joins each row to the newest one of the other stream at its time.
//!
//! Both sides wait until the watermark has passed them and are taken in the order of time, the versions first. Of each key the
//! newest version is kept, and nothing of the rows that look for it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{filter, filter_record_batch};

use super::broken::holds;
use super::rowwise::with_row_count;
use super::shelf::{Place, Shelf};
use super::waiting::{InOrder, Waiting};
use super::{Chunk, Operator, Outbox, Side};
use crate::plan::JoinStep;
use crate::{RunError, ipc};

/// Rows are given in batches of this many.
const ROWS: usize = 8_192;

pub(super) struct AsOf {
    step: Arc<JoinStep>,
    waiting: [Waiting; 2],
    shelf: Shelf,
    newest: HashMap<Box<[u8]>, Place>,
}

impl AsOf {
    pub fn new(step: Arc<JoinStep>) -> AsOf {
        let waiting = [0, 1].map(|side: usize| Waiting::new(Arc::clone(&step.inputs[side])));
        let shelf = Shelf::new(Arc::clone(&step.inputs[1]));
        AsOf { step, waiting, shelf, newest: HashMap::new() }
    }

    fn take(
        &mut self,
        rows: Option<InOrder>,
        versions: Option<InOrder>,
        out: &mut Outbox,
    ) -> Result<(), RunError> {
        let mut replaced = Vec::new();
        let mut versions = self.laid_down(versions)?.into_iter().peekable();
        let mut set = |newest: &mut HashMap<Box<[u8]>, Place>, (_, key, place): Version| match key {
            Some(key) => replaced.extend(newest.insert(key, place)),
            // Nothing is equal to null, so nobody looks for it.
            None => replaced.push(place),
        };
        if let Some(InOrder { batch, times }) = rows {
            let keys = self.step.keys[0].of(&batch)?;
            let mut found = Vec::with_capacity(times.len());
            for (row, time) in times.iter().enumerate() {
                while let Some(version) = versions.next_if(|(since, ..)| since <= time) {
                    set(&mut self.newest, version);
                }
                found.push(keys.of_row(row).and_then(|key| self.newest.get(&key).copied()));
            }
            self.give(&batch, &times, &found, out)?;
        }
        versions.for_each(|version| set(&mut self.newest, version));
        for place in replaced {
            self.shelf.remove(place);
        }
        self.tidy()
    }

    fn laid_down(&mut self, versions: Option<InOrder>) -> Result<Vec<Version>, RunError> {
        let Some(InOrder { batch, times }) = versions else { return Ok(Vec::new()) };
        let keys = self.step.keys[1].of(&batch)?;
        let places = self.shelf.put(batch);
        Ok(places
            .zip(times)
            .enumerate()
            .map(|(row, (place, time))| (time, keys.of_row(row), place))
            .collect())
    }

    fn give(
        &self,
        batch: &RecordBatch,
        times: &[i64],
        found: &[Option<Place>],
        out: &mut Outbox,
    ) -> Result<(), RunError> {
        for from in (0..times.len()).step_by(ROWS) {
            let count = ROWS.min(times.len() - from);
            let (mut batch, mut found) = (batch.slice(from, count), found[from..from + count].to_vec());
            let mut times = TimestampMicrosecondArray::from(times[from..from + count].to_vec());
            if let Some(condition) = &self.step.condition {
                let pairs = with_row_count(&self.step.pair, self.columns(&batch, &found)?, count)?;
                let holds = holds(condition, &pairs, times.values(), &mut out.broken)?;
                for (row, found) in found.iter_mut().enumerate() {
                    *found = found.filter(|_| holds.value(row));
                }
            }
            if !self.step.keeps[0] {
                let kept: BooleanArray = found.iter().map(|found| Some(found.is_some())).collect();
                times = filter(&times, &kept)?.as_primitive().clone();
                batch = filter_record_batch(&batch, &kept)?;
                found.retain(Option::is_some);
            }
            if !found.is_empty() {
                let joined = self.columns(&batch, &found)?;
                let batch = with_row_count(&self.step.schema, joined, found.len())?;
                out.chunks.push(Chunk { batch, times, lineage: None });
            }
        }
        Ok(())
    }

    fn columns(&self, batch: &RecordBatch, found: &[Option<Place>]) -> Result<Vec<ArrayRef>, RunError> {
        let mut columns = batch.columns().to_vec();
        columns.extend(self.shelf.gather(found)?);
        Ok(columns)
    }

    fn tidy(&mut self) -> Result<(), RunError> {
        if self.shelf.is_wasteful() {
            let places: Vec<Place> = self.newest.values().copied().collect();
            let moved = self.shelf.tidy(&places)?;
            self.newest.values_mut().zip(moved).for_each(|(place, moved)| *place = moved);
        }
        Ok(())
    }
}

/// Since when, of what and where.
type Version = (i64, Option<Box<[u8]>>, Place);

impl Operator for AsOf {
    fn on_batch(&mut self, side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        self.step.keys[side as usize].check(&chunk.batch)?;
        self.waiting[side as usize].take(chunk, out)
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        let [rows, versions] = &mut self.waiting;
        let (rows, versions) = (rows.release(watermark)?, versions.release(watermark)?);
        self.take(rows, versions, out)
    }

    /// Versions alone give nothing.
    fn next_close(&self) -> Option<i64> {
        self.waiting[0].next_release()
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let mut newest: Vec<(&[u8], Place)> =
            self.newest.iter().map(|(key, place)| (key.as_ref(), *place)).collect();
        newest.sort_unstable();
        let places: Vec<Place> = newest.iter().map(|(_, place)| *place).collect();
        let versions = self.shelf.rows(&places)?;
        let parts = [(0, self.waiting[0].state()?), (1, self.waiting[1].state()?), (2, versions)];
        Ok(Some(ipc::write_numbered(&parts)?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        let parts = ipc::read_numbered(state)?;
        let [(0, rows), (1, waiting), (2, versions)] = parts.as_slice() else {
            return Err(RunError::State { what: "it is not that of a join" });
        };
        super::slice::check_columns(&versions.schema(), self.shelf.schema())?;
        self.waiting[0].restore(rows)?;
        self.waiting[1].restore(waiting)?;
        let times = vec![i64::MIN; versions.num_rows()];
        self.take(None, Some(InOrder { batch: versions.clone(), times }), &mut Outbox::default())
    }

    fn state_bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(Waiting::bytes).sum();
        let key_bytes = self.newest.keys().next().map_or(0, |key| key.len());
        let entry = size_of::<(Box<[u8]>, Place)>() + key_bytes;
        waiting + self.shelf.bytes() + self.newest.capacity() * entry
    }
}
