//! The open attempts of one partition: which of them become matches.

use std::collections::VecDeque;

use super::attempt::{Attempt, Found, Round};
use super::row::Row;
use crate::RunError;
use crate::plan::pattern::{PatternStep, Skip};

/// Ways that a partition may hold open: each row moves all of them on.
const WAYS_MAX: usize = 10_000;

/// Attempts in the order of their first rows, and so of their deadlines.
#[derive(Default)]
pub(super) struct Partition {
    pub attempts: VecDeque<Attempt>,
    /// The number of the next row.
    pub next_row: u64,
    /// The deadline under which it waits.
    pub queued: Option<i64>,
    /// The same, when something may be given then.
    pub awaited: Option<i64>,
    /// Memory, as last counted.
    pub bytes: usize,
}

impl Partition {
    /// Takes a row, no earlier than those before it, after [`Partition::time_is_over`] for its time. Gives the matches that
    /// are decided, in the order of their first rows.
    pub fn take(
        &mut self,
        step: &PatternStep,
        row: &Row<'_>,
        round: &mut Round,
    ) -> Result<Vec<Found>, RunError> {
        let number = self.next_row;
        self.next_row += 1;
        round.begin(step);
        for attempt in &mut self.attempts {
            attempt.take(step, row, number, round)?;
        }
        self.attempts.push_back(Attempt::begin(step, row, number, round)?);
        let decided = self.decided(step);
        match self.attempts.iter().map(|attempt| attempt.ways.len()).sum::<usize>() > WAYS_MAX {
            true => Err(RunError::Pattern { ways_max: WAYS_MAX }),
            false => Ok(decided),
        }
    }

    /// Event time has come to `time`.
    pub fn time_is_over(&mut self, step: &PatternStep, time: i64) -> Vec<Found> {
        let mut given = Vec::new();
        while let Some(first) = self.attempts.front_mut()
            && first.deadline <= time
        {
            first.time_is_over(step, self.next_row.saturating_sub(1));
            given.extend(self.decided(step));
        }
        given
    }

    /// No row comes any more: what has been found is the match.
    pub fn end(&mut self, step: &PatternStep) -> Vec<Found> {
        for attempt in self.attempts.iter_mut().filter(|_| !step.until_time_is_over) {
            attempt.ways.clear();
        }
        self.decided(step)
    }

    /// Takes out the matches that nothing can change any more, and attempts that cannot become one.
    fn decided(&mut self, step: &PatternStep) -> Vec<Found> {
        let mut given = Vec::new();
        match step.skip {
            Skip::ToNextRow => {
                self.attempts.retain_mut(|attempt| {
                    if !attempt.is_open() {
                        given.extend(attempt.found.take());
                    }
                    attempt.is_open()
                });
            }
            Skip::PastLastRow => {
                self.drop_overlapped();
                while let Some(first) = self.attempts.pop_front_if(|first| !first.is_open()) {
                    given.extend(first.found);
                }
            }
        }
        given
    }

    /// An attempt that has found a match gives one that ends there or later: attempts that began by then are over. Those
    /// that found nothing and have no way left are too.
    fn drop_overlapped(&mut self) {
        let mut taken_up_to: Option<u64> = None;
        self.attempts.retain(|attempt| {
            let is_free = taken_up_to.is_none_or(|last_row| attempt.first_row > last_row);
            let stays = is_free && (attempt.is_open() || attempt.found.is_some());
            if let (true, Some(found)) = (stays, &attempt.found) {
                taken_up_to = taken_up_to.max(Some(found.last_row));
            }
            stays
        });
    }

    /// When the time of its first attempt is over.
    pub fn deadline(&self) -> Option<i64> {
        self.attempts.front().map(|attempt| attempt.deadline)
    }

    /// Whether the end of its first attempt's time may give something: its own match, or one that waits for it.
    pub fn may_give(&self, step: &PatternStep) -> bool {
        self.attempts.iter().any(|attempt| attempt.may_give(step))
    }

    pub fn counted_bytes(&self) -> usize {
        size_of::<Partition>() + self.attempts.iter().map(Attempt::bytes).sum::<usize>()
    }
}
