//! How pipelines are doing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use springhouse_meta::PipelineKind;
use springhouse_model::{StreamName, Timestamp};

use super::functions::UsedFunction;
use super::scan::Progress;
use crate::probe::Probe;

/// A rate is what came in during the last seconds.
const RATE_SPAN: Duration = Duration::from_secs(10);

/// Whether a pipeline works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Running,
    Paused,
    Failed,
}

impl RunState {
    pub const fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Paused => "paused",
            RunState::Failed => "failed",
        }
    }
}

/// One pipeline or alert rule at one moment.
#[derive(Clone, Debug)]
pub struct PipelineStatus {
    pub name: String,
    pub kind: PipelineKind,
    /// The stream it reads; `None` when its statement cannot be planned.
    pub from: Vec<StreamName>,
    pub into: StreamName,
    pub sql: String,
    /// By which definitions of functions it goes.
    pub functions: Vec<UsedFunction>,
    pub state: RunState,
    /// Why it failed, or what went wrong that it has survived.
    pub error: Option<String>,
    pub rows_in: u64,
    pub rows_out: u64,
    pub late: u64,
    /// Rows that it could not deal with; they are in quarantine.
    pub broken: u64,
    /// Rows per second.
    pub rate_in: f64,
    /// Records of the log behind its position.
    pub lag_records: u64,
    /// Age of the newest record it has dealt with, while there are others behind.
    pub lag_us: i64,
    pub watermark: Option<Timestamp>,
    pub state_bytes: u64,
    /// Bytes that its snapshots have written to the disk since it was started.
    pub snapshot_bytes: u64,
    /// How long it has computed since it was started, on its thread.
    pub busy: Duration,
}

/// What the task of a pipeline tells while it runs.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) rows_in: AtomicU64,
    pub(crate) rows_out: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) position: AtomicU64,
    pub(crate) seen_at: AtomicI64,
    /// [`i64::MIN`] before the first row.
    pub(crate) watermark: AtomicI64,
    pub(crate) state_bytes: AtomicU64,
    pub(crate) snapshot_bytes: AtomicU64,
    /// Microseconds.
    pub(crate) busy: AtomicU64,
    rate: Mutex<VecDeque<(Instant, u64)>>,
    /// Of those with whom it reads the log.
    together: Mutex<Option<Arc<Progress>>>,
    /// Those who look at its rows, as long as they do.
    probes: Mutex<Vec<Weak<Mutex<Probe>>>>,
    is_looked_at: AtomicBool,
}

impl Gauges {
    pub(crate) fn new() -> Gauges {
        Gauges { watermark: AtomicI64::new(i64::MIN), ..Gauges::default() }
    }

    /// Lets somebody look at what the steps hand on from here on.
    pub(crate) fn look(&self, probe: &Arc<Mutex<Probe>>) {
        let mut probes = self.probes.lock();
        probes.push(Arc::downgrade(probe));
        self.is_looked_at.store(true, Ordering::Release);
    }

    pub(crate) fn is_looked_at(&self) -> bool {
        self.is_looked_at.load(Ordering::Acquire)
    }

    /// Those who still look.
    pub(crate) fn probes(&self) -> Vec<Arc<Mutex<Probe>>> {
        let mut probes = self.probes.lock();
        probes.retain(|probe| probe.strong_count() > 0);
        self.is_looked_at.store(!probes.is_empty(), Ordering::Release);
        probes.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn rides_with(&self, progress: Option<&Arc<Progress>>) {
        *self.together.lock() = progress.cloned();
    }

    /// The record with which it goes on. Those who read the log together have all dealt with what they have passed.
    pub(crate) fn position(&self) -> u64 {
        let together = self.together.lock();
        let others = together.as_ref().map_or(0, |progress| progress.position.load(Ordering::Relaxed));
        self.position.load(Ordering::Relaxed).max(others)
    }

    /// When the last record that was dealt with was appended.
    pub(crate) fn seen_at(&self) -> i64 {
        let together = self.together.lock();
        let others = together.as_ref().map_or(0, |progress| progress.seen_at.load(Ordering::Relaxed));
        self.seen_at.load(Ordering::Relaxed).max(others)
    }

    /// Remembers the count of rows for the rate, at most once in a fraction of a second.
    pub(crate) fn note_rows(&self, rows_in: u64, now: Instant) {
        self.rows_in.store(rows_in, Ordering::Relaxed);
        self.sample(now, rows_in);
    }

    pub(crate) fn rate_in(&self) -> f64 {
        let now = Instant::now();
        let rows = self.rows_in.load(Ordering::Relaxed);
        self.sample(now, rows);
        let samples = self.rate.lock();
        match samples.front() {
            Some((at, before)) if now.duration_since(*at) > Duration::from_millis(200) => {
                rows.saturating_sub(*before) as f64 / now.duration_since(*at).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    fn sample(&self, now: Instant, rows: u64) {
        let mut samples = self.rate.lock();
        if samples.back().is_none_or(|(at, _)| now.duration_since(*at) > Duration::from_millis(500)) {
            samples.push_back((now, rows));
        }
        while samples.len() > 1 && samples.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_SPAN)
        {
            samples.pop_front();
        }
    }
}
