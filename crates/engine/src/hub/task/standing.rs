//! Where a task stands: its snapshots, and what it shows of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use springhouse_log::Offset;
use springhouse_model::Timestamp;
use tokio::task::JoinHandle;

use super::{Header, Snapshot, Task, hold_name};
use crate::RunError;
use crate::hub::EngineError;

/// A snapshot is taken this long after the last one: what a restart reads again.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(60);
/// … or after this many rows.
const SNAPSHOT_ROWS: u64 = 1_000_000;

/// How far the snapshots of a task are behind it.
pub(super) struct Standing {
    /// Rows that the last one does not cover.
    pub(super) rows: u64,
    at: Instant,
    /// The position of the last one that was written.
    offset: Arc<AtomicU64>,
    writing: Option<JoinHandle<()>>,
}

impl Standing {
    /// Pipelines that begin together do not all write their snapshots at the same moment.
    pub(super) fn new(pipeline: u64, offset: u64) -> Standing {
        let earlier = Duration::from_secs(pipeline % SNAPSHOT_AFTER.as_secs());
        let now = Instant::now();
        let at = now.checked_sub(earlier).unwrap_or(now);
        Standing { rows: 0, at, offset: Arc::new(AtomicU64::new(offset)), writing: None }
    }
}

impl Task {
    /// Whether it has dealt with records that its snapshots do not know.
    pub(super) fn has_moved(&self) -> bool {
        self.position.0 > self.standing.offset.load(Ordering::Relaxed)
    }

    /// When to look whether a snapshot is due.
    pub(super) fn snapshot_due(&self, now: Instant) -> Instant {
        match (self.has_moved(), self.standing.rows >= SNAPSHOT_ROWS) {
            (false, _) => now + SNAPSHOT_AFTER,
            (true, true) => now,
            (true, false) => self.standing.at + SNAPSHOT_AFTER,
        }
    }

    /// The position moves on also without rows for it, so that the log need not be kept.
    pub(in crate::hub) fn is_snapshot_due(&self) -> bool {
        let now = Instant::now();
        self.has_moved() && self.snapshot_due(now) <= now
    }

    /// Everything that is needed to go on from here.
    pub(super) fn state(&mut self) -> Result<Snapshot, EngineError> {
        let state = self.pipeline.snapshot()?;
        let steps = self.work.plan.stateful_steps().map_err(RunError::from)?;
        let header = Header {
            pipeline_version: self.work.entry.version,
            schema_versions: self.work.plan.schema_versions(),
            offset: self.position.0,
            event_times: state.event_times,
            rows_in: self.rows_in,
            rows_out: self.rows.next(),
            late: self.late.next(),
            broken: self.next_broken,
            fingerprints: steps.into_iter().map(|step| step.fingerprint).collect(),
            trail: self.trail.clone(),
        };
        Ok(Snapshot { header, operators: state.operators })
    }

    /// Takes a snapshot and begins to write it.
    pub(in crate::hub) fn begin_snapshot(&mut self) {
        self.standing.at = Instant::now();
        if self.standing.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        let snapshot = match self.state() {
            Ok(snapshot) => snapshot,
            Err(error) => return not_written(&self.work.entry.name, &error),
        };
        self.standing.rows = 0;
        let (folder, log, entry) =
            (self.work.folder.clone(), Arc::clone(&self.work.log), self.work.entry.clone());
        let offset = Arc::clone(&self.standing.offset);
        let gauges = Arc::clone(&self.work.gauges);
        // Whoever waits until all work of an engine has ended waits for this too.
        let at_work = Arc::clone(&self.work.streams);
        let write = move || {
            match folder.write(&snapshot) {
                Ok(written) => {
                    log.hold(&hold_name(entry.id), Offset(written.keep_from));
                    offset.fetch_max(snapshot.header.offset, Ordering::Relaxed);
                    gauges.snapshot_bytes.fetch_add(written.bytes, Ordering::Relaxed);
                }
                // The last one is still good; a restart reads more of the log again.
                Err(error) => not_written(&entry.name, &error),
            }
            drop(at_work);
        };
        let writers = Arc::clone(&self.work.writers);
        self.standing.writing = Some(tokio::spawn(async move {
            // A thread for each of thousands would take more memory than what they write.
            let _turn = writers.acquire().await;
            let _ = tokio::task::spawn_blocking(write).await;
        }));
    }

    /// Takes a snapshot; it is written when this returns, if it can be.
    pub(super) async fn snapshot(&mut self) {
        // One that is being written is older.
        self.is_written().await;
        self.begin_snapshot();
        self.is_written().await;
    }

    /// Waits for a snapshot that is being written.
    pub(super) async fn is_written(&mut self) {
        if let Some(writing) = self.standing.writing.take() {
            let _ = writing.await;
        }
    }

    /// Shows where the pipeline stands, after what follows from its records has been written.
    pub(in crate::hub) fn tell(&mut self, seen_at: Option<Timestamp>, now: Instant) {
        let gauges = &self.work.gauges;
        gauges.note_rows(self.rows_in, now);
        gauges.rows_out.store(self.rows.next(), Ordering::Relaxed);
        gauges.late.store(self.late.next(), Ordering::Relaxed);
        gauges.broken.store(self.next_broken, Ordering::Relaxed);
        gauges.position.store(self.position.0, Ordering::Relaxed);
        gauges.busy.store(u64::try_from(self.busy.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        gauges.watermark.store(self.pipeline.watermark(), Ordering::Relaxed);
        let state_bytes = self.work.share.bytes();
        gauges.state_bytes.store(state_bytes as u64, Ordering::Relaxed);
        if let Some(seen_at) = seen_at {
            gauges.seen_at.store(seen_at.micros(), Ordering::Relaxed);
        }
    }
}

fn not_written(pipeline: &str, error: &EngineError) {
    tracing::warn!(pipeline, error = error as &dyn std::error::Error, "no snapshot could be written");
}
