//! How far event time had come where in the log.

use serde::{Deserialize, Serialize};

/// Places are this far apart at the least, in microseconds of event time.
const STEP_US: i64 = 1_000_000;
/// More places than this are thinned out.
const PLACES_MAX: usize = 128;
/// Places that are thinned out stay no further apart than this part of their age.
const PART_OF_AGE: i64 = 3;

/// Offsets of the log, each with the largest event time that a row before it had: close together near the end, further apart
/// the longer ago. Whoever needs the rows since some time again finds here where to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Trail(Vec<(u64, i64)>);

impl Trail {
    /// Before the record at `offset`, no row had an event time later than `event_time`.
    pub(super) fn note(&mut self, offset: u64, event_time: i64) {
        if self.0.last().is_some_and(|(_, last)| event_time.saturating_sub(*last) < STEP_US) {
            return;
        }
        self.0.push((offset, event_time));
        if self.0.len() > PLACES_MAX {
            self.thin_out();
        }
    }

    /// The offset from which on all rows are that have an event time of `time` or later.
    pub(crate) fn before(&self, time: i64) -> Option<u64> {
        self.0.iter().rev().find(|(_, event_time)| *event_time < time).map(|(offset, _)| *offset)
    }

    pub(crate) fn oldest(&self) -> Option<u64> {
        self.0.first().map(|(offset, _)| *offset)
    }

    /// Leaves out each place whose neighbors are still near each other without it.
    fn thin_out(&mut self) {
        let Some((_, end)) = self.0.last().copied() else { return };
        let mut kept: Vec<(u64, i64)> = Vec::with_capacity(PLACES_MAX);
        for (at, place) in self.0.iter().enumerate().rev() {
            let is_needed = match (at.checked_sub(1), kept.last()) {
                (Some(before), Some((_, later))) => {
                    let gap = later.saturating_sub(self.0[before].1);
                    gap > (end.saturating_sub(*later) / PART_OF_AGE).max(STEP_US)
                }
                _ => true,
            };
            if is_needed {
                kept.push(*place);
            }
        }
        kept.reverse();
        self.0 = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record each second for eleven days; rows are up to a minute early or late.
    #[test]
    fn from_the_place_that_is_found_no_row_since_the_time_is_missing_and_not_many_others_are_read() {
        let mut trail = Trail::default();
        let mut event_time = i64::MIN;
        let mut earliest = Vec::new();
        for offset in 0..1_000_000_u64 {
            trail.note(offset, event_time);
            let time = offset as i64 * STEP_US + ((offset * 7_919) % 121) as i64 * STEP_US - 60 * STEP_US;
            event_time = event_time.max(time);
            earliest.push(event_time);
        }
        assert!(trail.0.len() <= PLACES_MAX, "{}", trail.0.len());
        assert_eq!(trail.0[0], (0, i64::MIN));
        for age in [0, 1, 5, 60, 3_600, 86_400, 900_000] {
            let needed = event_time - age * STEP_US;
            let found = trail.before(needed).unwrap();
            let first = earliest.iter().position(|time| *time >= needed).unwrap() as u64;
            assert!(found <= first, "{age}: {found} is behind {first}");
            let too_early = (first - found) as i64;
            assert!(too_early <= age / 2 + 130, "{age}: {too_early} records too early");
        }
        assert_eq!(trail.before(i64::MIN), None);
    }
}
