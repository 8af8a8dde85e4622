//! Aggregation per aligned window and key, by event time.
//!
//! Rows are gathered in slices. A slice is the window itself or, where windows overlap, a time that lies wholly inside or
//! wholly outside of each of them: a row is taken in once, however many windows it is in, and a window is put together
//! from its slices when it closes. A row is late when the watermark before it has passed the end of its last window.
//! A window is given once, when the watermark passes that same line, and windows are given
//! in the order of their end, keys in the order of their value. Which row is late, in which windows the others are and what
//! comes out in which order therefore follows from the rows alone, however they are cut into batches.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt32Array};
use hashbrown::HashMap;

use super::early::EarlyResults;
use super::pane::{Inputs, Pane};
use super::rowwise::with_row_count;
use super::slice::Slice;
use super::{Chunk, Late, Lineage, Operator, Outbox, Side, result_columns};
use crate::RunError;
use crate::ipc;
use crate::plan::window::Aligned;
use crate::plan::{AggregateStep, Bound};

pub(crate) struct WindowAggregate {
    step: Arc<AggregateStep>,
    window: Aligned,
    /// Slices are in several windows each; otherwise each is a window.
    shared: bool,
    bound: Bound,
    /// By their end.
    slices: BTreeMap<i64, Slice>,
    /// Windows that end here or before have been given.
    given: i64,
    /// For windows that give results before they close.
    early: Option<EarlyResults>,
}

impl WindowAggregate {
    pub(super) fn new(
        step: Arc<AggregateStep>,
        window: Aligned,
        shared: bool,
        bound: Bound,
    ) -> WindowAggregate {
        let early = EarlyResults::of(&step);
        WindowAggregate { step, window, shared, bound, slices: BTreeMap::new(), given: i64::MIN, early }
    }

    /// The end of the last window that a slice is in.
    fn last_end(&self, slice_end: i64) -> i64 {
        if self.shared { self.window.last_end(slice_end) } else { slice_end }
    }

    /// The end of the next window that holds rows and has not been given.
    fn next_end(&self) -> Option<i64> {
        let slice_end = *self.slices.first_key_value()?.0;
        if !self.shared {
            return Some(slice_end);
        }
        let first = self.window.first_end(slice_end);
        let after = self.window.first_end(self.given.saturating_add(1));
        Some(first.max(after))
    }

    /// Splits the rows of a chunk by slice, late ones apart.
    fn split(&self, ends: &[i64], lineage: &Lineage, rows: Range<usize>) -> Split {
        let (watermarks, sources) = (lineage.watermarks.values(), lineage.rows.values());
        let mut split = Split::default();
        let mut places = HashMap::new();
        let mut current = 0;
        for row in rows {
            let (end, watermark) = (ends[row], watermarks[row]);
            let closes_at = self.last_end(end);
            if closes_at <= watermark {
                // A row that stands there for several windows is late when it is late for the last of them.
                if sources.get(row + 1) != Some(&sources[row]) {
                    split.late.push(row, watermark.saturating_sub(closes_at));
                }
                continue;
            }
            if split.slices.get(current).is_none_or(|(slice, _)| *slice != end) {
                current = *places.entry(end).or_insert(split.slices.len());
                if current == split.slices.len() {
                    split.slices.push((end, Vec::new()));
                }
            }
            split.slices[current].1.push(row as u32);
        }
        split
    }

    /// Takes in rows that meet the same open windows and lines.
    fn take(&mut self, split: Split, inputs: &Inputs, passed: &[i64]) -> Result<(), RunError> {
        let first = split.slices.iter().filter_map(|(_, rows)| rows.first()).min();
        if let (Some(early), Some(first)) = (&mut self.early, first) {
            early.note(passed[*first as usize]);
        }
        for (end, rows) in split.slices {
            let slice = self.slices.entry(end).or_default();
            match rows.len() == inputs.rows {
                true => slice.update(&self.step, inputs)?,
                false => slice.update(&self.step, &inputs.take(&UInt32Array::from(rows))?)?,
            }
        }
        Ok(())
    }

    /// Gives what is due when time comes to `passed`, in the order of time.
    fn give_due(&mut self, passed: i64, out: &mut Outbox) -> Result<(), RunError> {
        if let Some(line) = self.early.as_mut().and_then(|early| early.take_due(passed)) {
            self.give_complete(line, out)?;
            self.give_open(line, out)?;
        }
        Ok(())
    }

    /// Gives what has changed in the windows that are open at a line.
    fn give_open(&mut self, line: i64, out: &mut Outbox) -> Result<(), RunError> {
        for end in self.open_ends() {
            let pane = self.so_far(end)?;
            let (columns, rows) = self.result(end, pane)?;
            if let Some(early) = &mut self.early {
                out.chunks.extend(early.change(end, columns, rows, line)?);
            }
        }
        Ok(())
    }

    /// The ends of windows that hold rows and have not been given.
    fn open_ends(&self) -> Vec<i64> {
        if !self.shared {
            return self.slices.keys().copied().collect();
        }
        let mut ends = BTreeSet::new();
        for slice_end in self.slices.keys() {
            let first =
                self.window.first_end(*slice_end).max(self.window.first_end(self.given.saturating_add(1)));
            let last = self.window.last_end(*slice_end);
            ends.extend((first..=last).step_by(self.window.slide_us as usize));
        }
        ends.into_iter().collect()
    }

    /// The groups of a window as they stand. Everything stays.
    fn so_far(&mut self, end: i64) -> Result<Pane, RunError> {
        let mut pane = Pane::new(&self.step, &self.step.key_schema)?;
        let length_us = if self.shared { self.window.size_us } else { 1 };
        let first = end.saturating_sub(length_us).saturating_add(1);
        for (_, slice) in self.slices.range_mut(first..=end) {
            if let Some(state) = slice.seal(&self.step)? {
                pane.merge(&self.step, state)?;
            }
        }
        Ok(pane)
    }

    /// Gives the windows that are complete at a watermark.
    fn give_complete(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        while let Some(end) = self.next_end() {
            if end > watermark {
                break;
            }
            let pane = self.put_together(end)?;
            out.chunks.push(self.close(end, pane)?);
            self.given = end;
        }
        self.given = self.given.max(watermark);
        Ok(())
    }

    /// The groups of a window. Slices of which it was the last window go.
    fn put_together(&mut self, end: i64) -> Result<Pane, RunError> {
        if !self.shared {
            return self.slices.remove(&end).unwrap_or_default().into_pane(&self.step);
        }
        let pane = self.so_far(end)?;
        while let Some(slice) = self.slices.first_entry() {
            if self.window.last_end(*slice.key()) > end {
                break;
            }
            slice.remove();
        }
        Ok(pane)
    }

    fn close(&mut self, end: i64, pane: Pane) -> Result<Chunk, RunError> {
        let (columns, rows) = self.result(end, pane)?;
        match &mut self.early {
            Some(early) => early.close(end, columns, rows),
            None => {
                let times = TimestampMicrosecondArray::from_value(end, rows);
                Ok(Chunk { batch: with_row_count(&self.step.schema, columns, rows)?, times, lineage: None })
            }
        }
    }

    /// The columns of a window's result, and how many rows they have.
    fn result(&self, end: i64, pane: Pane) -> Result<(Vec<ArrayRef>, usize), RunError> {
        let (keys, values, rows) = pane.close()?;
        let start = end.saturating_sub(self.window.size_us);
        let all = |bound| TimestampMicrosecondArray::from_value(bound, rows);
        Ok((result_columns(&self.step, &all(start), &all(end), keys, values)?, rows))
    }

    /// Where rows have to wait until windows are given: these close between two rows, and the second shares slices with
    /// them, or a line lies between the two. Between two such places nothing is given.
    fn cuts(&self, watermarks: &[i64], passed: &[i64]) -> Vec<usize> {
        if !self.shared && self.early.is_none() {
            return vec![0, watermarks.len()];
        }
        let closed =
            |watermark: i64| watermark.saturating_sub(self.window.size_us).div_euclid(self.window.slide_us);
        let line = |row: usize| self.early.as_ref().map(|early| early.line(passed[row]));
        let is_cut = |row: &usize| {
            let (before, here) = (*row - 1, *row);
            (self.shared && closed(watermarks[before]) != closed(watermarks[here]))
                || line(before) != line(here)
        };
        let mut cuts = vec![0];
        cuts.extend((1..watermarks.len()).filter(is_cut));
        cuts.push(watermarks.len());
        cuts
    }
}

/// The rows of a chunk by slice, in the order in which the slices were met.
#[derive(Default)]
struct Split {
    slices: Vec<(i64, Vec<u32>)>,
    late: Late,
}

impl Operator for WindowAggregate {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let inputs = Inputs::evaluate(&self.step, &chunk.batch)?;
        let lineage = chunk.lineage();
        let length_us = if self.shared { self.window.slice_us() } else { self.window.size_us };
        let ends = self.bound.ends(&chunk.batch, length_us);
        let watermarks = lineage.watermarks.values();
        // Where time has come to with each row. What is not in the order of the input is in that of time.
        let passed: Vec<i64> = match (&self.early, &lineage.after) {
            (None, _) => Vec::new(),
            (_, Some(after)) => lineage.rows.values().iter().map(|row| after[*row as usize]).collect(),
            (_, None) => chunk.times.values().to_vec(),
        };
        for cut in self.cuts(watermarks, &passed).windows(2) {
            let rows = cut[0]..cut[1];
            if let Some(passed) = passed.get(rows.start) {
                self.give_due(*passed, out)?;
            }
            if let (true, Some(watermark)) = (self.shared, watermarks.get(rows.start)) {
                self.give_complete(*watermark, out)?;
            }
            let mut split = self.split(&ends, &lineage, rows);
            let late = std::mem::take(&mut split.late);
            if !late.rows.is_empty() {
                out.late.push(lineage.late_rows(late)?);
            }
            if split.slices.is_empty() {
                continue;
            }
            self.take(split, &inputs, &passed)?;
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        self.give_due(watermark, out)?;
        self.give_complete(watermark, out)
    }

    fn next_close(&self) -> Option<i64> {
        let due = self.early.as_ref().and_then(EarlyResults::due);
        self.next_end().into_iter().chain(due).min()
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let mut parts = Vec::with_capacity(self.slices.len());
        for (end, slice) in &mut self.slices {
            parts.extend(slice.seal(&self.step)?.map(|state| (*end, state.clone())));
        }
        if let Some(early) = &self.early {
            let mut all = early.state(parts.len())?;
            all.splice(1..1, parts);
            parts = all;
        }
        Ok(Some(ipc::write_numbered(&parts)?))
    }

    fn restore(&mut self, state: &[u8], watermark: i64) -> Result<(), RunError> {
        self.slices.clear();
        let mut parts = ipc::read_numbered(state)?;
        if let Some(early) = &mut self.early {
            early.restore(&mut parts)?;
        }
        for (end, state) in parts {
            self.slices.insert(end, Slice::restored(&self.step, state)?);
        }
        self.given = watermark;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let early = self.early.as_ref().map_or(0, EarlyResults::bytes);
        early + self.slices.values().map(Slice::bytes).sum::<usize>()
    }
}
