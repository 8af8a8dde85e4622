//! Matches of a pattern in each partition, by event time.
//!
//! ```text
//! rows in order ─▶ previous rows ─▶ conditions for the whole chunk ─▶ a partition's attempts ─▶ ways
//! watermark ─────▶ deadlines, the earliest first ───────────────────▶        │ decided
//!                                                                            ▼
//!                                                      terms of a match ─▶ measures ─▶ a row
//! ```
//! Rows come in the order of event time, behind the watermark, so that time is the same for all partitions: before a row
//! is taken, everything whose time is over by then is given. That makes the rows and their order a function of the
//! input: a watermark gives nothing that the next row would not have given before itself.

mod attempt;
mod partition;
mod previous;
mod row;
mod slot;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::row::{RowConverter, Rows as KeyRows, SortField};
use hashbrown::HashMap;

use self::attempt::{Found, Round};
use self::partition::Partition;
use self::previous::{PreviousRows, columns_of};
use self::row::{Row, Rows};
use super::broken::evaluate;
use super::keys::without_negative_zero;
use super::rowwise::with_row_count;
use super::{BrokenRow, Chunk, Operator, Outbox, Side};
use crate::RunError;
use crate::plan::pattern::PatternStep;

/// Finds the matches of all partitions.
pub(crate) struct PatternMatch {
    step: Arc<PatternStep>,
    /// `None` when all rows are in one partition, or their columns cannot be compared.
    converter: Option<RowConverter>,
    /// Those with open attempts; others are forgotten.
    partitions: HashMap<Box<[u8]>, Partition>,
    previous: PreviousRows,
    /// When the first attempt of a partition is over.
    deadlines: BTreeSet<(i64, Box<[u8]>)>,
    /// How many partitions wait for a time to give something.
    awaited: BTreeMap<i64, usize>,
    round: Round,
    bytes: usize,
}

/// A match, and whose it is.
struct Match {
    key: Box<[u8]>,
    found: Found,
}

impl PatternMatch {
    pub(crate) fn new(step: Arc<PatternStep>) -> PatternMatch {
        PatternMatch {
            converter: converter(&step).ok().filter(|_| !step.partition.is_empty()),
            partitions: HashMap::new(),
            previous: PreviousRows::new(&step),
            deadlines: BTreeSet::new(),
            awaited: BTreeMap::new(),
            round: Round::default(),
            bytes: 0,
            step,
        }
    }

    /// No row comes any more. What waits for the end of a time that is not over stays open.
    pub(crate) fn end(&mut self, out: &mut Outbox) -> Result<(), RunError> {
        let mut keys: Vec<Box<[u8]>> = self.partitions.keys().cloned().collect();
        keys.sort_unstable();
        let mut matches = Vec::new();
        for key in keys {
            let step = Arc::clone(&self.step);
            self.change(&key, &mut matches, |partition, _| Ok(partition.end(&step)))?;
        }
        self.give(matches, out)
    }

    /// The partitions of rows as bytes that compare as the values do.
    fn keys_of(&self, columns: &[ArrayRef]) -> Result<Option<KeyRows>, RunError> {
        let Some(converter) = &self.converter else { return Ok(None) };
        let columns: Vec<ArrayRef> = columns.iter().map(without_negative_zero).collect();
        Ok(Some(converter.convert_columns(&columns)?))
    }

    fn take(&mut self, key: &[u8], row: &Row<'_>, matches: &mut Vec<Match>) -> Result<(), RunError> {
        self.time_is_over(row.time, matches)?;
        let step = Arc::clone(&self.step);
        self.change(key, matches, |partition, round| partition.take(&step, row, round))
    }

    /// Gives what waits for a time up to `time`, the earliest first.
    fn time_is_over(&mut self, time: i64, matches: &mut Vec<Match>) -> Result<(), RunError> {
        while let Some((deadline, key)) = self.deadlines.first()
            && *deadline <= time
        {
            let (deadline, key, step) = (*deadline, key.clone(), Arc::clone(&self.step));
            self.change(&key, matches, |partition, _| Ok(partition.time_is_over(&step, deadline)))?;
        }
        Ok(())
    }

    /// Changes a partition and sees to it that it is found when its time comes, and forgotten when nothing is open.
    fn change(
        &mut self,
        key: &[u8],
        matches: &mut Vec<Match>,
        change: impl FnOnce(&mut Partition, &mut Round) -> Result<Vec<Found>, RunError>,
    ) -> Result<(), RunError> {
        let mut added = None;
        let partition = match self.partitions.get_mut(key) {
            Some(partition) => partition,
            None => added.insert(Partition::default()),
        };
        let found = change(partition, &mut self.round)?;
        matches.extend(found.into_iter().map(|found| Match { key: Box::from(key), found }));
        let is_empty = partition.attempts.is_empty();
        let deadline = partition.deadline().filter(|_| self.step.within_us.is_some());
        if partition.queued != deadline {
            if let Some(queued) = partition.queued {
                self.deadlines.remove(&(queued, Box::from(key)));
            }
            self.deadlines.extend(deadline.map(|deadline| (deadline, Box::from(key))));
            partition.queued = deadline;
        }
        let awaited = deadline.filter(|_| partition.may_give(&self.step));
        if partition.awaited != awaited {
            count(&mut self.awaited, partition.awaited, awaited);
            partition.awaited = awaited;
        }
        let bytes = if is_empty { 0 } else { partition.counted_bytes() + 2 * key.len() };
        self.bytes = self.bytes + bytes - partition.bytes;
        partition.bytes = bytes;
        match (added, is_empty) {
            (Some(partition), false) => drop(self.partitions.insert(Box::from(key), partition)),
            (None, true) => drop(self.partitions.remove(key)),
            _ => {}
        }
        Ok(())
    }

    /// The rows of matches, in their order.
    fn give(&self, matches: Vec<Match>, out: &mut Outbox) -> Result<(), RunError> {
        if matches.is_empty() {
            return Ok(());
        }
        let step = &self.step;
        let terms = matches.iter().map(|found| {
            let found = &found.found;
            let values = found.slots.iter().zip(&step.terms);
            values.map(|(slot, term)| slot.value(term, &step.variables, found.time)).collect()
        });
        let terms = terms.collect::<Result<Vec<Vec<_>>, RunError>>()?;
        let types: Vec<_> = step.terms.iter().map(|term| term.ty.clone()).collect();
        let columns = columns_of(&types, terms.iter().map(Vec::as_slice))?;
        let rows = with_row_count(&step.term_schema, columns, matches.len())?;
        let keys = self.key_columns(matches.iter().map(|found| found.key.as_ref()))?;
        let times = TimestampMicrosecondArray::from_iter_values(matches.iter().map(|found| found.found.time));
        self.measure(&keys, Chunk { batch: rows, times, lineage: None }, out)
    }

    /// Gives the measures of matches with these terms. A match that has none is put aside.
    fn measure(&self, keys: &[ArrayRef], terms: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let rows = terms.batch.num_rows();
        let measures = self.step.measures.iter().map(|measure| evaluate(measure, &terms.batch));
        match measures.collect::<Result<Vec<_>, _>>() {
            Ok(measures) => {
                let columns = keys.iter().cloned().chain(measures).collect();
                let batch = with_row_count(&self.step.schema, columns, rows)?;
                out.chunks.push(terms.with_batch(batch));
                Ok(())
            }
            Err(RunError::Row(error)) if rows == 1 => {
                // Whose match it was: what it is made of has no names that a person has given.
                let keys = with_row_count(&self.step.key_schema, keys.to_vec(), 1)?;
                out.broken.push(BrokenRow::of(terms.with_batch(keys), &error));
                Ok(())
            }
            Err(RunError::Row(_)) => {
                [(0, rows / 2), (rows / 2, rows - rows / 2)].into_iter().try_for_each(|(from, count)| {
                    let keys: Vec<ArrayRef> = keys.iter().map(|key| key.slice(from, count)).collect();
                    self.measure(&keys, terms.slice(from, count), out)
                })
            }
            Err(error) => Err(error),
        }
    }

    fn key_columns<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, RunError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let parser = converter.parser();
        Ok(converter.convert_rows(keys.map(|key| parser.parse(key)))?)
    }
}

/// Makes bytes of the columns of the partition; an error when they cannot be compared, which planning refuses.
pub(crate) fn converter(step: &PatternStep) -> Result<RowConverter, RunError> {
    let fields = step.key_schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
    Ok(RowConverter::new(fields.collect())?)
}

/// Moves one from a time to another.
fn count(awaited: &mut BTreeMap<i64, usize>, from: Option<i64>, to: Option<i64>) {
    if let Some(from) = from
        && let Some(partitions) = awaited.get_mut(&from)
    {
        *partitions -= 1;
        if *partitions == 0 {
            awaited.remove(&from);
        }
    }
    if let Some(to) = to {
        *awaited.entry(to).or_default() += 1;
    }
}

impl Operator for PatternMatch {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let keys = self.step.partition.iter().map(|column| Arc::clone(chunk.batch.column(*column)));
        let keys = self.keys_of(&keys.collect::<Vec<_>>())?;
        let key_of = |row| keys.as_ref().map(|keys| keys.row(row));
        let key_rows: Vec<_> = (0..chunk.batch.num_rows()).map(key_of).collect();
        let keys: Vec<&[u8]> =
            key_rows.iter().map(|key| key.as_ref().map_or(&[][..], AsRef::as_ref)).collect();
        let step = Arc::clone(&self.step);
        let mut columns = chunk.batch.columns().to_vec();
        let previous = PreviousRows::values(&step, &chunk)?;
        columns.extend(self.previous.columns(&step, &previous, &keys)?);
        let rows = with_row_count(&step.row_schema, columns, chunk.batch.num_rows())?;
        let rows = Rows::judge(&step, rows)?;
        self.previous.keep(&previous, &keys)?;
        let mut matches = Vec::new();
        for (index, (key, time)) in keys.iter().zip(chunk.times.values()).enumerate() {
            self.take(key, &rows.row(index, *time), &mut matches)?;
        }
        for (index, error) in rows.into_broken() {
            out.broken.push(BrokenRow::of(chunk.slice(index, 1), &error));
        }
        self.give(matches, out)
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        let mut matches = Vec::new();
        self.time_is_over(watermark, &mut matches)?;
        self.give(matches, out)?;
        // The input has ended, and with it the time of what has no WITHIN.
        if watermark == i64::MAX { self.end(out) } else { Ok(()) }
    }

    fn next_close(&self) -> Option<i64> {
        self.awaited.first_key_value().map(|(deadline, _)| *deadline)
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        Ok(Some(state::write(self)?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        state::read(self, state)
    }

    fn state_bytes(&self) -> usize {
        let queued = self.deadlines.len() * size_of::<(i64, Box<[u8]>)>();
        self.bytes + self.previous.bytes() + queued
    }
}
