//! One pipeline at work on the log.
//!
//! ```text
//! log ─records of its streams─▶ adapt to the planned schema ─▶ Pipeline ─rows─▶ append (producer 2·id)
//!  ▲                                                             ├─late─▶ append (producer 2·id + 1)
//!  │                                                             └─broken─▶ quarantine (producer 2⁶³ + id)
//!  └── hold at the older snapshot                      snapshot: offset, watermark, state, numbers of the next rows
//! ```
//! After a restart the newest good snapshot is restored and the log is read again from its offset. The rows come out again
//! with the same numbers, and those that the log has already are passed over: each is there once.

mod alone;
mod broken;
mod clock;
mod output;
mod rows;
mod standing;
mod trail;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use springhouse_ingest::PutAside;
use springhouse_log::{Kind, Log, Offset};
use springhouse_meta::{PipelineEntry, PipelineKind, StreamEntry};
use tokio::sync::{Semaphore, watch};

use super::budget::Share;
use super::feed::{self, Taken};
use super::silence::Silence;
use super::snapshot::{Folder, Header, Snapshot};
use super::status::Gauges;
use super::{EngineError, Streams, Tables};
use crate::{Pipeline, Plan, RunError};
use standing::Standing;
use waiting::Waiting;

pub(super) use broken::broken_producer;
pub(super) use rows::Rows;
pub(super) use trail::Trail;

/// Bytes of records that are taken at once: bounds the rows that wait for one append.
pub(super) const READ_BYTES: usize = 1 << 20;
/// How long to wait before trying again what failed for a passing reason, such as a full disk.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// What a task works with.
pub(crate) struct Work {
    pub(crate) entry: PipelineEntry,
    pub(crate) plan: Arc<Plan>,
    /// Those of the plan, in its order.
    pub(crate) sources: Vec<Arc<StreamEntry>>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) streams: Arc<dyn Streams>,
    pub(crate) tables: Tables,
    pub(crate) folder: Folder,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) share: Share,
    pub(crate) stop: watch::Receiver<bool>,
    /// Snapshots of pipelines that are written at the same time.
    pub(crate) writers: Arc<Semaphore>,
}

impl Work {
    fn tell_of_waiting(&self, error: &EngineError) {
        let error = error as &dyn std::error::Error;
        tracing::warn!(pipeline = self.entry.name, error, "rows wait for the log");
    }
}

/// The name under which a pipeline holds the log.
pub(crate) fn hold_name(pipeline: u64) -> String {
    format!("pipeline-{pipeline}")
}

/// Producers of the log: rows and late rows of a pipeline are counted apart.
pub(crate) fn row_producer(pipeline: u64) -> u64 {
    pipeline * 2
}

pub(crate) fn late_producer(pipeline: u64) -> u64 {
    pipeline * 2 + 1
}

/// A pipeline as the snapshot left it. The first snapshot is taken before there is any state.
pub(super) fn restored(plan: &Arc<Plan>, snapshot: &Snapshot) -> Result<Pipeline, RunError> {
    let mut pipeline = plan.start();
    if !snapshot.operators.is_empty() || snapshot.header.event_times.iter().any(|time| *time != i64::MIN) {
        pipeline.restore(&snapshot.state())?;
    }
    Ok(pipeline)
}

pub(crate) struct Task {
    work: Work,
    pipeline: Pipeline,
    /// The record with which it goes on.
    position: Offset,
    rows_in: u64,
    rows: Waiting,
    late: Waiting,
    broken: Vec<PutAside>,
    /// The number of the next one; those below what the log has are passed over.
    next_broken: u64,
    /// Of each source.
    silences: Vec<Silence>,
    trail: Trail,
    note: Option<&'static str>,
    standing: Standing,
    /// How long it has computed, by the clock: a core that others took in between counts too.
    busy: Duration,
}

impl Task {
    /// Restores the newest snapshot that fits and whose records the log still has.
    pub(crate) async fn restore(work: Work) -> Result<Box<Task>, EngineError> {
        let (folder, version) = (work.folder.clone(), work.entry.version);
        let (candidates, damaged) = tokio::task::spawn_blocking(move || folder.candidates(version))
            .await
            .map_err(|_| EngineError::Closed)??;
        for damaged in damaged {
            tracing::warn!(
                pipeline = work.entry.name,
                damaged,
                "a snapshot cannot be read; the one before is used"
            );
        }
        let head = work.log.head();
        for snapshot in candidates.into_iter().filter(|snapshot| snapshot.header.offset >= head.0) {
            match restored(&work.plan, &snapshot) {
                Ok(pipeline) => return Task::new(work, pipeline, &snapshot.header),
                Err(error) => tracing::warn!(
                    pipeline = work.entry.name,
                    error = &error as &dyn std::error::Error,
                    "a snapshot does not fit; the one before is used"
                ),
            }
        }
        Task::anew(work)
    }

    /// Without a snapshot. What has written no rows yet begins as it would have begun when it was created; otherwise rows
    /// that are there would be written again, so it goes on with the next record and says what it has lost.
    fn anew(work: Work) -> Result<Box<Task>, EngineError> {
        let written = |producer| work.log.last_producer(producer).map_or(0, |last| last.seq);
        let (rows_out, late) = (written(row_producer(work.entry.id)), written(late_producer(work.entry.id)));
        let broken = written(broken_producer(work.entry.id));
        let reads_all = rows_out + late + broken == 0 && work.entry.kind == PipelineKind::Pipeline;
        let header = Header {
            pipeline_version: work.entry.version,
            schema_versions: work.plan.schema_versions(),
            offset: if reads_all { work.log.head().0 } else { work.log.end().0 },
            event_times: vec![i64::MIN; work.plan.sources.len()],
            rows_in: 0,
            rows_out,
            late,
            broken,
            fingerprints: Vec::new(),
            trail: Trail::default(),
        };
        let pipeline = work.plan.start();
        let mut task = Task::new(work, pipeline, &header)?;
        if !reads_all {
            let note =
                "no snapshot could be read: windows that were open are lost, it went on with the next row";
            tracing::error!(pipeline = task.work.entry.name, "{note}");
            task.note = Some(note);
        }
        Ok(task)
    }

    /// What went wrong that it has survived.
    pub(crate) fn note(&self) -> Option<&'static str> {
        self.note
    }

    fn new(work: Work, mut pipeline: Pipeline, header: &Header) -> Result<Box<Task>, EngineError> {
        work.tables.bring(&mut pipeline, Offset(header.offset))?;
        let sources = work.sources.iter().enumerate();
        let silences =
            sources.map(|(at, source)| Silence::new(source.idle_us, pipeline.event_time(at))).collect();
        let id = work.entry.id;
        let standing = Standing::new(id, header.offset);
        let mut task = Task {
            work,
            pipeline,
            position: Offset(header.offset),
            rows_in: header.rows_in,
            rows: Waiting::new(row_producer(id), header.rows_out),
            late: Waiting::new(late_producer(id), header.late),
            broken: Vec::new(),
            next_broken: header.broken,
            silences,
            trail: header.trail.clone(),
            note: None,
            standing,
            busy: Duration::ZERO,
        };
        // What a snapshot brings in is judged with the first record.
        let _ = task.work.share.hold(task.pipeline.state_bytes());
        task.tell(None, Instant::now());
        Ok(Box::new(task))
    }

    pub(super) fn id(&self) -> u64 {
        self.work.entry.id
    }

    /// The numbers of the streams that it reads, and of the tables in which it looks rows up.
    pub(super) fn streams(&self) -> impl Iterator<Item = u32> + '_ {
        let tables = self.work.plan.tables.iter().map(|table| table.id);
        self.work.sources.iter().map(|source| source.id).chain(tables)
    }

    /// Becomes true when it has to end.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.work.stop.clone()
    }

    pub(super) fn state_bytes(&self) -> usize {
        self.work.share.bytes()
    }

    pub(super) fn position(&self) -> Offset {
        self.position
    }

    /// The records before `position` have been dealt with: those that it was not given are not of its streams.
    pub(super) fn has_come_to(&mut self, position: Offset) {
        self.position = self.position.max(position);
    }

    pub(super) fn gauges(&self) -> &Arc<Gauges> {
        &self.work.gauges
    }

    /// Whether it has been told to stop. Looked at between records: a slow statement must not keep the hub from ending.
    pub(super) fn is_stopped(&self) -> bool {
        *self.work.stop.borrow()
    }

    /// Deals with a record, unless it has done so before.
    pub(super) fn take(&mut self, rows: &mut Rows<'_>) -> Result<(), EngineError> {
        let record = rows.record();
        if record.offset < self.position {
            return Ok(());
        }
        self.position = record.next_offset();
        if record.kind == Kind::Tables {
            return self.work.tables.announced(&mut self.pipeline, record);
        }
        let began = Instant::now();
        if self.work.gauges.is_looked_at() {
            self.pipeline.look(self.work.gauges.probes());
        }
        let latest = self.pipeline.latest();
        let Some(Taken { source, rows, emitted }) = feed::take(&mut self.pipeline, &self.work.sources, rows)?
        else {
            return Ok(());
        };
        if record.kind == Kind::Readings {
            self.trail.note(record.offset.0, latest);
            self.rows_in += rows;
            self.standing.rows += rows;
            self.silences[source].broken(self.pipeline.event_time(source));
        }
        let state_bytes = self.pipeline.state_bytes();
        if state_bytes != self.work.share.bytes() {
            self.work.share.hold(state_bytes)?;
        }
        self.busy += began.elapsed();
        self.rows.push(emitted.rows, record.offset);
        self.late.push(emitted.late, record.offset);
        let broken = emitted.broken.iter().map(|row| self.put_aside(row, record));
        let broken: Vec<PutAside> = broken.collect();
        self.broken.extend(broken);
        Ok(())
    }
}
