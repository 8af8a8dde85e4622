//! How far the rows of a plan reach: which rows of the source can say something about the rows of a span.

use super::Plan;
use super::compile::Step;
use super::join::{JoinStep, Pairing, Reach};
use super::over::{Frame, OverStep};
use super::placement::Placement;

/// What has no bound in time, such as a session or the last hundred rows, is looked for this far back.
const UNBOUNDED_REACH_US: i64 = 86_400_000_000;

impl Plan {
    /// How much earlier than a row that is given the rows may be that it is made from; sessions, rows that are counted,
    /// the newest rows of another stream and the beginnings of episodes may be older.
    pub fn reach_us(&self) -> i64 {
        self.sum_of(|step| match step {
            Step::Episode(_) => UNBOUNDED_REACH_US,
            other => reach_us(other),
        })
    }

    /// How much later than a row that is given a row of the source may be by which its window closes.
    pub fn patience_us(&self) -> i64 {
        let reach_us = self.sum_of(|step| match step {
            Step::Episode(step) => step.after_us.unwrap_or_default(),
            other => reach_us(other),
        });
        reach_us.saturating_add(self.late_delay_us()).saturating_add(self.allowed_lateness_us)
    }

    fn sum_of(&self, reach_us: impl Fn(&Step) -> i64) -> i64 {
        self.stations.iter().map(|station| reach_us(&station.step)).fold(0, i64::saturating_add)
    }
}

/// Of a step by itself.
fn reach_us(step: &Step) -> i64 {
    match step {
        Step::Aggregate(step) => match &step.placement {
            Placement::Aligned { window, .. } => window.size_us,
            Placement::Session { gap_us, .. } => gap_us.saturating_add(UNBOUNDED_REACH_US),
            Placement::Count { .. } => UNBOUNDED_REACH_US,
        },
        Step::Join(step) => join_reach_us(step),
        Step::Over(step) => over_reach_us(step),
        Step::Signal(_) => UNBOUNDED_REACH_US,
        Step::Pattern(step) => step.within_us.unwrap_or(UNBOUNDED_REACH_US),
        Step::Select { .. }
        | Step::Filter { .. }
        | Step::Project { .. }
        | Step::Lookup(_)
        | Step::Order { .. }
        | Step::Window(_)
        | Step::Spread(_)
        | Step::Episode(_) => 0,
    }
}

fn join_reach_us(step: &JoinStep) -> i64 {
    let reach = |reach: Reach| match reach {
        Reach::After(after_us) => after_us,
        Reach::Window { size_us, .. } => size_us,
    };
    match step.pairing {
        Pairing::Near([left, right]) => reach(left).max(reach(right)),
        Pairing::AsOf => UNBOUNDED_REACH_US,
    }
}

fn over_reach_us(step: &OverStep) -> i64 {
    let frames = step.calls.iter().map(|call| match call.frame {
        Frame::Rows { .. } => UNBOUNDED_REACH_US,
        Frame::Time { from_us, .. } => from_us,
    });
    frames.max().unwrap_or_default()
}
