//! What a task does because time passes: snapshots, and windows that silence closes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use springhouse_model::StreamKey;

use super::Task;
use crate::hub::silence;

impl Task {
    /// When to look at the clock for it, if no record comes.
    pub(in crate::hub) fn due(&self, now: Instant) -> Instant {
        let snapshot = self.snapshot_due(now);
        match self.silent_until_close() {
            Some(wait) => now.checked_add(wait).map_or(snapshot, |close| close.min(snapshot)),
            None => snapshot,
        }
    }

    /// How long until silence alone lets a window close: all streams that hold it back must have been silent. `None` when
    /// nothing waits, or for a stream that is never idle.
    fn silent_until_close(&self) -> Option<Duration> {
        let waits = self.pipeline.waits_for();
        let waits = waits.iter().map(|(source, event_time)| self.silences[*source].until(*event_time));
        waits.reduce(|longest, wait| Some(longest?.max(wait?))).flatten()
    }

    /// The marks that say that event time has come to the end of the next window, when that waits for nothing but rows that
    /// do not come. The window closes when they are read. With records still to be read nobody knows.
    pub(in crate::hub) fn marks(&self) -> Vec<(StreamKey, Bytes)> {
        if !self.silent_until_close().is_some_and(|wait| wait.is_zero()) {
            return Vec::new();
        }
        let waits = self.pipeline.waits_for().into_iter();
        waits.map(|(source, time)| (self.work.sources[source].key.clone(), silence::mark(time))).collect()
    }
}
