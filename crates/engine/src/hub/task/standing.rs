//! Where a task stands: its snapshots, and what it shows of itself.

use std::sync::atomic::Ordering;
use std::time::Instant;

use springhouse_log::Offset;
use springhouse_model::Timestamp;

use super::{Header, SNAPSHOT_AFTER, SNAPSHOT_IDLE, SNAPSHOT_ROWS, Snapshot, Task, hold_name};
use crate::RunError;
use crate::hub::EngineError;

impl Task {
    pub(super) fn is_snapshot_due(&self) -> bool {
        let since = self.snapshot_at.elapsed();
        let moved = self.reader.position() > self.snapshot_offset;
        self.rows_since_snapshot >= SNAPSHOT_ROWS
            || (self.rows_since_snapshot > 0 && since >= SNAPSHOT_AFTER)
            || (moved && since >= SNAPSHOT_IDLE)
    }

    /// Everything that is needed to go on from here.
    pub(super) fn state(&mut self) -> Result<Snapshot, EngineError> {
        let state = self.pipeline.snapshot()?;
        let steps = self.work.plan.stateful_steps().map_err(RunError::from)?;
        let header = Header {
            pipeline_version: self.work.entry.version,
            schema_versions: self.work.plan.schema_versions(),
            offset: self.reader.position().0,
            event_times: state.event_times,
            rows_in: self.rows_in,
            rows_out: self.next_row,
            late: self.next_late,
            fingerprints: steps.into_iter().map(|step| step.fingerprint).collect(),
        };
        Ok(Snapshot { header, operators: state.operators })
    }

    pub(super) async fn snapshot(&mut self) -> Result<(), EngineError> {
        let snapshot = self.state()?;
        // Pipelines have threads of their own; the others move to another one meanwhile. A task that is ended here ends
        // after the write, not beside it.
        match tokio::task::block_in_place(|| self.work.folder.write(&snapshot)) {
            Ok(keep_from) => {
                self.work.log.hold(&hold_name(self.work.entry.id), Offset(keep_from));
                self.rows_since_snapshot = 0;
                self.snapshot_offset = self.reader.position();
            }
            // The last one is still good; a restart reads more of the log again.
            Err(error) => tracing::warn!(
                pipeline = self.work.entry.name,
                error = &error as &dyn std::error::Error,
                "no snapshot could be written"
            ),
        }
        self.snapshot_at = Instant::now();
        Ok(())
    }

    /// Shows where the pipeline stands, after what follows from its records has been written.
    pub(super) fn tell(&mut self, seen_at: Option<Timestamp>) {
        let gauges = &self.work.gauges;
        gauges.note_rows(self.rows_in);
        gauges.rows_out.store(self.next_row, Ordering::Relaxed);
        gauges.late.store(self.next_late, Ordering::Relaxed);
        gauges.position.store(self.reader.position().0, Ordering::Relaxed);
        gauges.busy.store(u64::try_from(self.busy.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        gauges.watermark.store(self.pipeline.watermark(), Ordering::Relaxed);
        let state_bytes = self.work.share.bytes();
        gauges.state_bytes.store(state_bytes as u64, Ordering::Relaxed);
        if let Some(seen_at) = seen_at {
            gauges.seen_at.store(seen_at.micros(), Ordering::Relaxed);
        }
        let name = &self.work.entry.name;
        let lag = self.work.log.end().0.saturating_sub(self.reader.position().0);
        metrics::gauge!("springhouse_pipeline_lag_records", "pipeline" => name.clone()).set(lag as f64);
        metrics::gauge!("springhouse_pipeline_state_bytes", "pipeline" => name.clone())
            .set(state_bytes as f64);
        metrics::gauge!("springhouse_pipeline_busy_seconds", "pipeline" => name.clone())
            .set(self.busy.as_secs_f64());
        if self.pipeline.watermark() > i64::MIN {
            metrics::gauge!("springhouse_pipeline_watermark_seconds", "pipeline" => name.clone())
                .set(self.pipeline.watermark() as f64 / 1e6);
        }
    }
}
