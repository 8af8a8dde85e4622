//! Joins of rows that are near in time, or in the same window.
//!
//! Both sides wait until the watermark has passed them and are taken in the order of time, the left one first, so that what comes
//! out does not depend on which stream was faster. A row looks for those of the other side that came before it and is then
//! held for those that come after, as long as one can still be near enough. What finds none until then is given with nulls,
//! if the join keeps it, with the time at which that was certain. Pairs have the time of their later row.
//!
//! ```text
//! left  ─▶ waiting ─┐ in order of time    ┌─▶ look for rows of the other side ─▶ condition ─▶ pairs
//! right ─▶ waiting ─┘ ───────────────────▶└─▶ held until out of reach ─▶ alone, with nulls
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};

use super::broken::holds;
use super::held::Held;
use super::rowwise::with_row_count;
use super::shelf::Place;
use super::waiting::{InOrder, Waiting};
use super::{Chunk, Operator, Outbox, Side};
use crate::plan::{JoinStep, Reach};
use crate::{RunError, ipc};

/// Rows are taken in pieces of at least this many, at whose ends rows go that are out of reach.
const PIECE_ROWS: usize = 4_096;
/// Pairs are looked at in batches of this many.
const PAIRS: usize = 8_192;
/// More pairs than this in one piece are too many to keep.
const PAIRS_MAX: usize = 4_000_000;

pub(super) struct Join {
    step: Arc<JoinStep>,
    waiting: [Waiting; 2],
    held: [Held; 2],
    next_number: u64,
}

/// Two rows that may be joined, or one that is alone.
#[derive(Clone, Copy)]
struct Pair {
    time: i64,
    places: [Option<Place>; 2],
    numbers: [u64; 2],
}

impl Join {
    pub fn new(step: Arc<JoinStep>, reach: [Reach; 2]) -> Join {
        // Of one time, the rows of the left side come first.
        let lets_pass = [false, !step.keeps[1]];
        let held = [0, 1].map(|side: usize| {
            Held::new(Arc::clone(&step.keys[side]), &step.inputs[side], reach[side], lets_pass[side])
        });
        let waiting = [0, 1].map(|side: usize| Waiting::new(Arc::clone(&step.inputs[side])));
        Join { step, waiting, held, next_number: 0 }
    }

    /// Takes in rows that nothing can come before any more.
    fn take(&mut self, released: [Option<InOrder>; 2], until: i64, out: &mut Outbox) -> Result<(), RunError> {
        let mut rows = Vec::new();
        for (side, released) in released.into_iter().enumerate() {
            if let Some(InOrder { batch, times }) = released {
                let found = self.held[side].put(batch, &times)?;
                rows.extend(found.into_iter().map(|row| (row.time, side, row)));
            }
        }
        // Each side is in order already, and stays so.
        rows.sort_by_key(|(time, side, _)| (*time, *side));
        let mut rows = rows.into_iter().peekable();
        let (mut pairs, mut found, mut taken) = (Vec::new(), Vec::new(), 0);
        while let Some((time, side, row)) = rows.next() {
            let number = self.next_number;
            self.next_number += 1;
            for other in self.held[1 - side].partners(&row) {
                let (mut places, mut numbers) = ([Some(row.place); 2], [number; 2]);
                (places[1 - side], numbers[1 - side]) = (Some(other.place), other.number);
                pairs.push(Pair { time, places, numbers });
            }
            self.held[side].hold(number, row);
            taken += 1;
            if pairs.len() >= PAIRS {
                self.judge(&mut pairs, &mut found, out)?;
            }
            let next = rows.peek().map(|(time, ..)| *time);
            if taken >= PIECE_ROWS && next.is_some_and(|next| next > time) {
                self.judge(&mut pairs, &mut found, out)?;
                self.give(std::mem::take(&mut found), next.unwrap_or(until), out)?;
                taken = 0;
            }
        }
        self.judge(&mut pairs, &mut found, out)?;
        self.give(found, until, out)?;
        self.held.iter_mut().try_for_each(Held::tidy)
    }

    /// Keeps the pairs for which the condition is true.
    fn judge(
        &mut self,
        pairs: &mut Vec<Pair>,
        found: &mut Vec<Pair>,
        out: &mut Outbox,
    ) -> Result<(), RunError> {
        for pairs in pairs.chunks(PAIRS) {
            match &self.step.condition {
                None => found.extend(pairs),
                Some(condition) => {
                    let batch = with_row_count(&self.step.pair, self.columns(pairs)?, pairs.len())?;
                    let times: Vec<i64> = pairs.iter().map(|pair| pair.time).collect();
                    let kept = holds(condition, &batch, &times, &mut out.broken)?;
                    found.extend((0..pairs.len()).filter(|row| kept.value(*row)).map(|row| pairs[row]));
                }
            }
        }
        pairs.clear();
        if found.len() > PAIRS_MAX {
            return Err(RunError::TooManyPairs { rows: PIECE_ROWS, pairs: PAIRS_MAX });
        }
        Ok(())
    }

    /// Gives pairs, and the rows that have stayed alone until `until`, in the order of their time.
    fn give(&mut self, found: Vec<Pair>, until: i64, out: &mut Outbox) -> Result<(), RunError> {
        for side in [0, 1] {
            if self.step.keeps[side] {
                found.iter().for_each(|pair| self.held[side].found(pair.numbers[side]));
            }
        }
        let gone = [self.held[0].gone(until), self.held[1].gone(until)];
        let mut all = found;
        for (side, gone) in gone.iter().enumerate().filter(|(side, _)| self.step.keeps[*side]) {
            for alone in gone.iter().filter(|gone| !gone.has_found) {
                let mut places = [None; 2];
                places[side] = Some(alone.place);
                all.push(Pair { time: alone.until, places, numbers: [alone.number; 2] });
            }
        }
        // Stable: pairs of one time stay in the order of their rows, before those that are alone.
        all.sort_by_key(|pair| pair.time);
        for pairs in all.chunks(PAIRS) {
            let batch = with_row_count(&self.step.schema, self.columns(pairs)?, pairs.len())?;
            let times = TimestampMicrosecondArray::from_iter_values(pairs.iter().map(|pair| pair.time));
            out.chunks.push(Chunk { batch, times, lineage: None });
        }
        for (held, gone) in self.held.iter_mut().zip(gone) {
            held.remove(gone);
        }
        Ok(())
    }

    fn columns(&self, pairs: &[Pair]) -> Result<Vec<ArrayRef>, RunError> {
        let mut columns = Vec::new();
        for (side, held) in self.held.iter().enumerate() {
            let places: Vec<Option<Place>> = pairs.iter().map(|pair| pair.places[side]).collect();
            columns.extend(held.gather(&places)?);
        }
        Ok(columns)
    }
}

impl Operator for Join {
    fn on_batch(&mut self, side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        self.step.keys[side as usize].check(&chunk.batch)?;
        self.waiting[side as usize].take(chunk, out)
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        let [left, right] = &mut self.waiting;
        let released = [left.release(watermark)?, right.release(watermark)?];
        self.take(released, watermark, out)
    }

    fn next_close(&self) -> Option<i64> {
        let waiting = self.waiting.iter().filter_map(Waiting::next_release);
        let kept = self.held.iter().zip(self.step.keeps).filter(|(_, keeps)| *keeps);
        let alone = kept.filter_map(|(held, _)| held.next_gone());
        waiting.chain(alone).min()
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        let number = self.next_number as i64;
        let parts = [
            (number, self.waiting[0].state()?),
            (number, self.waiting[1].state()?),
            (number, self.held[0].state()?),
            (number, self.held[1].state()?),
        ];
        Ok(Some(ipc::write_numbered(&parts)?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        let parts = ipc::read_numbered(state)?;
        let [(number, left), (_, right), (_, held_left), (_, held_right)] = parts.as_slice() else {
            return Err(RunError::State { what: "it is not that of a join" });
        };
        self.next_number = *number as u64;
        self.waiting[0].restore(left)?;
        self.waiting[1].restore(right)?;
        self.held[0].restore(held_left)?;
        self.held[1].restore(held_right)
    }

    fn state_bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(Waiting::bytes).sum();
        waiting + self.held.iter().map(Held::bytes).sum::<usize>()
    }
}
