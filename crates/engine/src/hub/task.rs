//! One pipeline at work on the log.
//!
//! ```text
//! log ─records of its streams─▶ adapt to the planned schema ─▶ Pipeline ─rows─▶ append (producer 2·id)
//!  ▲                                                             └─late─▶ append (producer 2·id + 1)
//!  └── hold at the older snapshot                      snapshot: offset, watermark, state, numbers of the next rows
//! ```
//! After a restart the newest good snapshot is restored and the log is read again from its offset. The rows come out again
//! with the same numbers, and those that the log has already are passed over: each is there once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Kind, Log, Offset, PACE, Producer, Reader, Record};
use springhouse_meta::{PipelineEntry, PipelineKind, StreamEntry};
use springhouse_model::{StreamKey, Timestamp};
use springhouse_schema::{Schema, adapt};
use tokio::sync::watch;

use super::budget::Share;
use super::silence::{self, Silence};
use super::snapshot::{Folder, Header, Snapshot};
use super::status::Gauges;
use super::{EngineError, Streams, late_key};
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

    /// Appends what waits. False when the engine stops before it could.
    async fn deliver(&mut self, stop: &mut watch::Receiver<bool>) -> Result<bool, EngineError> {
        let tenant = self.work.entry.tenant.clone();
        let into = StreamKey::new(tenant, self.work.entry.into.clone());
        let late_into = late_key(&self.work.entry)?;
        let rows = std::mem::take(&mut self.rows);
        let late = std::mem::take(&mut self.late);
        let id = self.work.entry.id;
        let Some(next) = self.append(&into, rows, row_producer(id), self.next_row, stop).await? else {
            return Ok(false);
        };
        self.labels[1].increment(next - self.next_row);
        self.next_row = next;
        let Some(next) = self.append(&late_into, late, late_producer(id), self.next_late, stop).await? else {
            return Ok(false);
        };
        self.labels[2].increment(next - self.next_late);
        self.next_late = next;
        Ok(true)
    }

    /// Appends batches as rows from number `next` on and returns the number after them; `None` when told to stop.
    async fn append(
        &mut self,
        into: &StreamKey,
        batches: Vec<RecordBatch>,
        producer: u64,
        mut next: u64,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<u64>, EngineError> {
        let Some(first) = batches.first() else { return Ok(Some(next)) };
        let rows = concat_batches(&first.schema(), &batches).map_err(RunError::from)?;
        let there = self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let end = next + rows.num_rows() as u64;
        let mut from = there.clamp(next, end) - next;
        next += from;
        while next < end {
            let count = (end - next).min(APPEND_ROWS as u64);
            let part = rows.slice(from as usize, count as usize);
            match self.work.streams.append(into, part, Producer { id: producer, seq: next }).await {
                Ok(()) => {
                    from += count;
                    next += count;
                }
                Err(error) if error.is_passing() => {
                    tracing::warn!(
                        pipeline = self.work.entry.name,
                        error = &error as &dyn std::error::Error,
                        "rows wait for the log"
                    );
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return Ok(None),
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(next))
    }

    fn is_snapshot_due(&self) -> bool {
        let since = self.snapshot_at.elapsed();
        let moved = self.reader.position() > self.snapshot_offset;
        self.rows_since_snapshot >= SNAPSHOT_ROWS
            || (self.rows_since_snapshot > 0 && since >= SNAPSHOT_AFTER)
            || (moved && since >= SNAPSHOT_IDLE)
    }

    /// Goes on until the log holds no row that is not made yet, and no further; for one that does not run. What has
    /// stopped in the middle has written rows that its last snapshot does not know.
    pub(crate) async fn settle(mut self) -> Result<Snapshot, EngineError> {
        let mut stop = self.work.stop.clone();
        let written = |producer| self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let id = self.work.entry.id;
        let (rows, late) = (written(row_producer(id)), written(late_producer(id)));
        while self.next_row < rows || self.next_late < late {
            let records = self.reader.next_ready(READ_BYTES).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                let next = record.next_offset();
                self.take(vec![record]).await?;
                if !self.deliver(&mut stop).await? {
                    return Err(EngineError::Unsettled);
                }
                if self.next_row >= rows && self.next_late >= late {
                    self.reader.seek(next);
                    break;
                }
            }
        }
        self.state()
    }

    /// Everything that is needed to go on from here.
    fn state(&mut self) -> Result<Snapshot, EngineError> {
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

    async fn snapshot(&mut self) -> Result<(), EngineError> {
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
    fn tell(&mut self, seen_at: Option<Timestamp>) {
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
