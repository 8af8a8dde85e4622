//! One pipeline at work on the log.
//!
//! ```text
//! log ─records of its streams─▶ adapt to the planned schema ─▶ Pipeline ─rows─▶ append (producer 2·id)
//!  ▲                                                             └─late─▶ append (producer 2·id + 1)
//!  └── hold at the older snapshot                      snapshot: offset, watermark, state, numbers of the next rows
//! ```
//! After a restart the newest good snapshot is restored and the log is read again from its offset. The rows come out again
//! with the same numbers, and those that the log has already are passed over: each is there once.

mod output;
mod standing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Kind, Log, Offset, PACE, Reader, Record};
use springhouse_meta::{PipelineEntry, PipelineKind, StreamEntry};
use springhouse_schema::{Schema, adapt};
use tokio::sync::watch;

use super::budget::Share;
use super::silence::{self, Silence};
use super::snapshot::{Folder, Header, Snapshot};
use super::status::Gauges;
use super::{EngineError, Streams};
use crate::{Emitted, Pipeline, Plan, RunError};

/// Bytes of records that are taken at once: bounds the rows that wait for one append.
const READ_BYTES: usize = 1 << 20;
/// Rows of one append; larger results are cut, so that records stay small enough for those who tail the stream.
const APPEND_ROWS: usize = 16_384;
/// A snapshot is taken this long after the first row that the last one does not cover: what a restart reads again.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(10);
/// … or after this many rows.
const SNAPSHOT_ROWS: u64 = 1_000_000;
/// The position moves on also without rows for it, so that the log need not be kept.
const SNAPSHOT_IDLE: Duration = Duration::from_secs(60);
/// How long to wait before trying again what failed for a passing reason, such as a full disk.
const RETRY: Duration = Duration::from_millis(500);

/// What a task works with.
pub(crate) struct Work {
    pub(crate) entry: PipelineEntry,
    pub(crate) plan: Arc<Plan>,
    /// Those of the plan, in its order.
    pub(crate) sources: Vec<Arc<StreamEntry>>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) streams: Arc<dyn Streams>,
    pub(crate) folder: Folder,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) share: Share,
    pub(crate) stop: watch::Receiver<bool>,
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

/// The rows of a record in the columns that a plan was made for. The log orders the rows of one append by partition, which says nothing about when
/// they happened; by time, a record adds no disorder of its own, and the order is still a function of the log alone.
pub(super) fn rows_of(
    record: &Record,
    source: &StreamEntry,
    schema: &Schema,
) -> Result<RecordBatch, EngineError> {
    let damaged =
        |why: String| EngineError::Record { offset: record.offset.0, stream: source.key.name.clone(), why };
    let batch = record.batch().map_err(|error| damaged(error.to_string()))?;
    let batch = adapt(&batch, schema).map_err(|error| damaged(error.to_string()))?;
    if record.spans.len() > 1 { Ok(by_time(batch)?) } else { Ok(batch) }
}

fn by_time(batch: RecordBatch) -> Result<RecordBatch, RunError> {
    let Some(times) = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>() else {
        return Ok(batch);
    };
    let times = times.values();
    if times.is_sorted() {
        return Ok(batch);
    }
    let mut order: Vec<u32> = (0..times.len() as u32).collect();
    order.sort_by_key(|row| times[*row as usize]);
    Ok(take_record_batch(&batch, &UInt32Array::from(order))?)
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
    reader: Reader,
    /// Numbers of the next rows; those below what the log has are passed over.
    next_row: u64,
    next_late: u64,
    rows_in: u64,
    rows: Vec<RecordBatch>,
    late: Vec<RecordBatch>,
    /// Of each source.
    silences: Vec<Silence>,
    note: Option<&'static str>,
    rows_since_snapshot: u64,
    snapshot_at: Instant,
    snapshot_offset: Offset,
    labels: [metrics::Counter; 3],
    /// How long it has computed, by the clock: a core that others took in between counts too.
    busy: Duration,
}

impl Task {
    /// Restores the newest snapshot that fits and whose records the log still has.
    pub(crate) async fn restore(work: Work) -> Result<Task, EngineError> {
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
                Ok(pipeline) => return Ok(Task::new(work, pipeline, &snapshot.header)),
                Err(error) => tracing::warn!(
                    pipeline = work.entry.name,
                    error = &error as &dyn std::error::Error,
                    "a snapshot does not fit; the one before is used"
                ),
            }
        }
        Ok(Task::anew(work))
    }

    /// Without a snapshot. What has written no rows yet begins as it would have begun when it was created; otherwise rows
    /// that are there would be written again, so it goes on with the next record and says what it has lost.
    fn anew(work: Work) -> Task {
        let written = |producer| work.log.last_producer(producer).map_or(0, |last| last.seq);
        let (rows_out, late) = (written(row_producer(work.entry.id)), written(late_producer(work.entry.id)));
        let reads_all = rows_out == 0 && late == 0 && work.entry.kind == PipelineKind::Pipeline;
        let header = Header {
            pipeline_version: work.entry.version,
            schema_versions: work.plan.schema_versions(),
            offset: if reads_all { work.log.head().0 } else { work.log.end().0 },
            event_times: vec![i64::MIN; work.plan.sources.len()],
            rows_in: 0,
            rows_out,
            late,
            fingerprints: Vec::new(),
        };
        let pipeline = work.plan.start();
        let mut task = Task::new(work, pipeline, &header);
        if !reads_all {
            let note =
                "no snapshot could be read: windows that were open are lost, it went on with the next row";
            tracing::error!(pipeline = task.work.entry.name, "{note}");
            task.note = Some(note);
        }
        task
    }

    /// What went wrong that it has survived.
    pub(crate) fn note(&self) -> Option<&'static str> {
        self.note
    }

    fn new(work: Work, pipeline: Pipeline, header: &Header) -> Task {
        let reader = Reader::new(Arc::clone(&work.log), Offset(header.offset)).paced(PACE);
        let name = work.entry.name.clone();
        let rows = |direction: &'static str| metrics::counter!("springhouse_pipeline_rows_total", "pipeline" => name.clone(), "direction" => direction);
        let late = metrics::counter!("springhouse_pipeline_late_total", "pipeline" => name.clone());
        let labels = [rows("in"), rows("out"), late];
        let sources = work.sources.iter().enumerate();
        let silences =
            sources.map(|(at, source)| Silence::new(source.idle_us, pipeline.event_time(at))).collect();
        let mut task = Task {
            work,
            pipeline,
            reader,
            next_row: header.rows_out,
            next_late: header.late,
            rows_in: header.rows_in,
            rows: Vec::new(),
            late: Vec::new(),
            silences,
            note: None,
            rows_since_snapshot: 0,
            snapshot_at: Instant::now(),
            snapshot_offset: Offset(header.offset),
            labels,
            busy: Duration::ZERO,
        };
        // What a snapshot brings in is judged with the first record.
        let _ = task.work.share.hold(task.pipeline.state_bytes());
        task.tell(None);
        task
    }

    /// Works until it is told to stop, then leaves a snapshot behind.
    pub(crate) async fn run(mut self) -> Result<(), EngineError> {
        let mut stop = self.work.stop.clone();
        loop {
            let patience = self.patience();
            let records = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                records = self.reader.next(READ_BYTES) => Some(records?),
                () = tokio::time::sleep(patience) => None,
            };
            if let Some(records) = records {
                let seen_at = records.last().map(|record| record.appended_at);
                self.take(records).await?;
                if !self.deliver(&mut stop).await? {
                    // Told to stop while rows could not be written: they come again from the last snapshot.
                    return Ok(());
                }
                self.tell(seen_at);
            } else if self.is_time_to_mark() {
                self.mark().await;
            }
            if self.is_snapshot_due() {
                self.snapshot().await?;
            }
        }
        if self.reader.position() > self.snapshot_offset {
            self.snapshot().await?;
        }
        Ok(())
    }

    /// One by one, and each given back before the next: what is decoded can be far larger than what was read. When
    /// told to stop, the next one is where it goes on: a slow statement must not keep the hub from ending.
    async fn take(&mut self, records: Vec<Arc<Record>>) -> Result<(), EngineError> {
        for record in records {
            if *self.work.stop.borrow() {
                self.reader.seek(record.offset);
                break;
            }
            let began = Instant::now();
            let is_it = |source: &Arc<StreamEntry>| source.id == record.stream;
            let Some(source) = self.work.sources.iter().position(is_it) else { continue };
            let emitted = match record.kind {
                Kind::Readings => self.push(source, &record)?,
                Kind::Marks => match silence::marked(&record.payload) {
                    Some(event_time) => self.pipeline.advance_to(source, event_time)?,
                    None => continue,
                },
                Kind::Sessions => continue,
            };
            self.work.share.hold(self.pipeline.state_bytes())?;
            self.busy += began.elapsed();
            self.rows.extend(emitted.rows);
            self.late.extend(emitted.late);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn push(&mut self, source: usize, record: &Record) -> Result<Emitted, EngineError> {
        let schema = &self.work.plan.sources[source].schema;
        let batch = rows_of(record, &self.work.sources[source], schema)?;
        let rows = batch.num_rows() as u64;
        self.rows_in += rows;
        self.rows_since_snapshot += rows;
        self.labels[0].increment(rows);
        let emitted = self.pipeline.push(source, &batch)?;
        self.silences[source].broken(self.pipeline.event_time(source));
        Ok(emitted)
    }

    /// How long to wait for records before looking at the clock.
    fn patience(&self) -> Duration {
        self.silent_until_close().map_or(SNAPSHOT_AFTER, |wait| wait.min(SNAPSHOT_AFTER))
    }

    /// How long until silence alone lets a window close: all streams that hold it back must have been silent. `None` when
    /// nothing waits, or for a stream that is never idle.
    fn silent_until_close(&self) -> Option<Duration> {
        let waits = self.pipeline.waits_for();
        let waits = waits.iter().map(|(source, event_time)| self.silences[*source].until(*event_time));
        waits.reduce(|longest, wait| Some(longest?.max(wait?))).flatten()
    }

    /// Whether a window waits for nothing but rows that do not come. With records still to be read nobody knows.
    fn is_time_to_mark(&self) -> bool {
        self.reader.position() >= self.work.log.end()
            && self.silent_until_close().is_some_and(|wait| wait.is_zero())
    }

    /// Writes down that event time has come to the end of the next window; the window closes when the mark is read.
    async fn mark(&mut self) {
        for (source, event_time) in self.pipeline.waits_for() {
            let key = &self.work.sources[source].key;
            if let Err(error) = self.work.streams.mark(key, silence::mark(event_time)).await {
                tracing::warn!(
                    pipeline = self.work.entry.name,
                    error = &error as &dyn std::error::Error,
                    "the end of a silent window cannot be written down yet"
                );
                tokio::time::sleep(RETRY).await;
                return;
            }
        }
    }
}
