//! One attempt to match a pattern from one row on.
//!
//! An attempt has as many ways as the pattern leaves open, the most preferred first. A row moves all of them on at once, so that
//! no pattern takes more than a step for each row and way, however it is written (Thompson 1968; Pike's order of
//! preference). When a way ends, it is the match as far as it is known, and the ways that are less preferred are given up;
//! it is the match for good when no way is left that is preferred to it.

use std::collections::HashSet;

use datafusion::common::ScalarValue;

use super::row::Row;
use super::slot::Slot;
use crate::RunError;
use crate::plan::pattern::{Following, PatternStep};

/// Rows were taken up to a state of the automaton.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub state: usize,
    pub slots: Vec<Slot>,
}

/// The match of an attempt, unless one that is preferred comes to an end.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The number of its last row in the partition.
    pub last_row: u64,
    pub time: i64,
    pub slots: Vec<Slot>,
}

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The number of its first row in the partition.
    pub first_row: u64,
    /// When the time of WITHIN is over.
    pub deadline: i64,
    pub ways: Vec<Way>,
    pub found: Option<Found>,
}

/// Ways that were met: two in the same state go on alike if all that conditions look at is alike.
#[derive(Default)]
pub(super) struct Met {
    states: Vec<bool>,
    /// When conditions look at the match.
    ways: HashSet<(usize, Vec<ScalarValue>)>,
}

impl Met {
    pub fn clear(&mut self, step: &PatternStep) {
        self.ways.clear();
        self.states.clear();
        self.states.resize(step.automaton.states.len(), false);
    }

    fn key(step: &PatternStep, state: usize, slots: &[Slot]) -> Result<(usize, Vec<ScalarValue>), RunError> {
        let mut cells = Vec::new();
        for term in &step.deciding {
            cells.extend(slots[*term].cells(&step.terms[*term])?);
        }
        Ok((state, cells))
    }

    fn holds(&self, step: &PatternStep, state: usize, slots: &[Slot]) -> Result<bool, RunError> {
        match step.deciding.is_empty() {
            true => Ok(self.states[state]),
            false => Ok(!self.ways.is_empty() && self.ways.contains(&Met::key(step, state, slots)?)),
        }
    }

    /// False when it was met before.
    fn add(&mut self, step: &PatternStep, state: usize, slots: &[Slot]) -> Result<bool, RunError> {
        match step.deciding.is_empty() {
            true => Ok(!std::mem::replace(&mut self.states[state], true)),
            false => Ok(self.ways.insert(Met::key(step, state, slots)?)),
        }
    }
}

/// What is known when a row comes to the attempts of a partition, from the first to the last.
#[derive(Default)]
pub(super) struct Round {
    /// In the attempt at hand.
    met: Met,
    /// In earlier attempts, where a later one that stands at the same place cannot give a match of its own.
    covered: Met,
}

impl Round {
    pub fn begin(&mut self, step: &PatternStep) {
        self.covered.clear(step);
    }
}

impl Attempt {
    /// Offers the first row.
    pub fn begin(
        step: &PatternStep,
        row: &Row<'_>,
        number: u64,
        round: &mut Round,
    ) -> Result<Attempt, RunError> {
        let deadline = step.within_us.map_or(i64::MAX, |within| row.time.saturating_add(within));
        let mut attempt = Attempt { first_row: number, deadline, ways: Vec::new(), found: None };
        let slots = step.terms.iter().map(Slot::new).collect::<Result<Vec<_>, _>>()?;
        attempt.go_on(step, row, number, round, |visit| visit(&step.automaton.beginning, &slots))?;
        Ok(attempt)
    }

    /// Offers the next row: ways that do not take it end.
    pub fn take(
        &mut self,
        step: &PatternStep,
        row: &Row<'_>,
        number: u64,
        round: &mut Round,
    ) -> Result<(), RunError> {
        let ways = std::mem::take(&mut self.ways);
        self.go_on(step, row, number, round, |visit| {
            for way in &ways {
                if visit(&step.automaton.states[way.state].following, &way.slots)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Goes on from each place that `places` shows, until one of them tells that the rest is not preferred.
    fn go_on(
        &mut self,
        step: &PatternStep,
        row: &Row<'_>,
        number: u64,
        round: &mut Round,
        places: impl FnOnce(
            &mut dyn FnMut(&Following, &[Slot]) -> Result<bool, RunError>,
        ) -> Result<bool, RunError>,
    ) -> Result<(), RunError> {
        round.met.clear(step);
        let (ways, found) = (&mut self.ways, &mut self.found);
        places(&mut |following, slots| {
            for state in &following.states {
                let Some(slots) = taken(step, row, *state, slots)? else { continue };
                let covers = may_cover(step, *state);
                if covers && round.covered.holds(step, *state, &slots)? {
                    continue;
                }
                if !round.met.add(step, *state, &slots)? {
                    continue;
                }
                let following = &step.automaton.states[*state].following;
                let ends = following.may_end && !step.until_time_is_over;
                if ends {
                    *found = Some(Found { last_row: number, time: row.time, slots: slots.clone() });
                }
                if !ends || !following.states.is_empty() {
                    ways.push(Way { state: *state, slots });
                }
                if ends {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        for way in self.ways.iter().filter(|way| may_cover(step, way.state)) {
            round.covered.add(step, way.state, &way.slots)?;
        }
        Ok(())
    }

    /// The time of WITHIN is over: what has not been taken by now is not part of it.
    pub fn time_is_over(&mut self, step: &PatternStep, last_row: u64) {
        let ways = std::mem::take(&mut self.ways);
        if step.until_time_is_over {
            let is_complete = |way: &Way| step.automaton.states[way.state].following.may_end;
            let complete = ways.into_iter().find(is_complete);
            self.found = complete.map(|way| Found { last_row, time: self.deadline, slots: way.slots });
        }
    }

    pub fn is_open(&self) -> bool {
        !self.ways.is_empty()
    }

    /// Whether the end of its time gives something.
    pub fn may_give(&self, step: &PatternStep) -> bool {
        let may_end = |way: &Way| step.automaton.states[way.state].following.may_end;
        self.found.is_some() || (step.until_time_is_over && self.ways.iter().any(may_end))
    }

    pub fn bytes(&self) -> usize {
        let slots = self.ways.iter().map(|way| &way.slots);
        let slots = slots.chain(self.found.as_ref().map(|found| &found.slots));
        let slots = slots.map(|slots| {
            let heap: usize = slots.iter().map(Slot::heap_bytes).sum();
            size_of::<Way>() + slots.len() * size_of::<Slot>() + heap
        });
        size_of::<Attempt>() + slots.sum::<usize>()
    }
}

/// What the slots become if the variable of a state takes the row; `None` if it does not. The row counts as taken while its
/// condition is judged (ISO/IEC 19075-5 §4.16: running semantics).
fn taken(
    step: &PatternStep,
    row: &Row<'_>,
    state: usize,
    slots: &[Slot],
) -> Result<Option<Vec<Slot>>, RunError> {
    let variable = step.automaton.states[state].variable;
    let known = row.is_taken_by(variable);
    if known == Some(false) {
        return Ok(None);
    }
    let mut slots = slots.to_vec();
    if !slots.is_empty() {
        let kept = row.kept()?;
        for (slot, term) in slots.iter_mut().zip(&step.terms) {
            slot.take(term, variable, kept)?;
        }
    }
    match known.is_some() || row.is_taken_after(step, variable, &slots)? {
        true => Ok(Some(slots)),
        false => Ok(None),
    }
}

/// Whether a way in this state makes the same way of a later attempt superfluous. Matches do not overlap and both end at
/// the same rows: where the earlier one ends in a match, the later one is inside of it, and where it finds none,
/// neither does the other. But for the end of its time, which comes sooner for the earlier one: unless that is when it
/// is complete.
fn may_cover(step: &PatternStep, state: usize) -> bool {
    let ends_in_a_match = step.until_time_is_over && step.automaton.states[state].may_always_end;
    step.skip == crate::plan::pattern::Skip::PastLastRow && (step.within_us.is_none() || ends_in_a_match)
}
