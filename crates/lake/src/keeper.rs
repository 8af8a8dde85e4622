//! The lake's own work beside queries: following the log, flushing in time, tidying up.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec::IntoIter;

use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use metrics::counter;
use parking_lot::Mutex;
use springhouse_engine::Threads;
use springhouse_log::{Kind, Log, LogError, Offset, PACE, Reader, Record};
use springhouse_meta::{LakeFile, Meta};
use springhouse_model::Clock;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::catalog::{Catalog, is_internal};
use crate::manifest::{Change, Doubt};
use crate::state::State;
use crate::storage::Storage;
use crate::tail::Chunk;
use crate::{LakeError, Options};

/// Payload read at once while catching up.
const READ_BYTES: usize = 4 << 20;
/// Rows, as they are in memory, that are decoded at once.
const PORTION_BYTES: usize = 8 << 20;
/// Pause after a flush or a merge that failed, such as on a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the parts of the lake share.
pub(crate) struct Shared {
    pub options: Options,
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub catalog: Arc<dyn Catalog>,
    pub clock: Arc<dyn Clock>,
    pub storage: Storage,
    pub runtime: Arc<RuntimeEnv>,
    pub threads: Arc<Threads>,
    pub session: SessionState,
    /// Those who ask for more backtests wait.
    pub backtests: Arc<Semaphore>,
    pub state: Mutex<State>,
    /// Records before this are in the state; queries wait for it to see what was acknowledged before they came.
    pub consumed: watch::Sender<u64>,
    /// One flush at a time.
    pub flushing: tokio::sync::Mutex<()>,
    /// One change of the manifest at a time, so that meta and memory change in the same order.
    pub changes: tokio::sync::Mutex<Doubt>,
    /// Removed files whose objects wait for the last query that reads them.
    pub removed: Mutex<Vec<Arc<LakeFile>>>,
    /// There is enough to flush.
    pub due: Notify,
    /// A flush has made room.
    pub drained: Notify,
}

impl Shared {
    /// Reads the log into the tail, for ever.
    pub(crate) async fn follow(self: Arc<Shared>) {
        let mut reader = Reader::new(Arc::clone(&self.log), Offset(self.state.lock().next)).paced(PACE);
        loop {
            match reader.next(READ_BYTES).await {
                Ok(records) => self.take_in(records).await,
                Err(LogError::Closed) => return,
                Err(LogError::Trimmed { head }) => {
                    let lost = head.0 - reader.position().0;
                    tracing::error!(lost, "records left the log before the lake has read them");
                    counter!("springhouse_lake_lost_records_total").increment(lost);
                    reader.seek(head);
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the lake cannot read the log");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    async fn wait_for_room(&self) {
        loop {
            let room = self.drained.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.state.lock().tail_bytes() < self.options.tail_bytes_max {
                return;
            }
            room.await;
        }
    }

    /// Takes records in portions whose rows have a bounded size: what is decoded can be far larger than what was read.
    async fn take_in(&self, records: Vec<Arc<Record>>) {
        let mut records = records.into_iter();
        loop {
            self.wait_for_room().await;
            let (first, left) = (records.as_slice().first().map(|record| record.offset.0), records.len());
            let Some(first) = first else { return };
            let decoded = self.blocking(move || portion(records)).await;
            let portion = decoded.unwrap_or_else(|_| {
                // Reading them again would end the same way, for ever, and for all streams.
                let next = first + left as u64;
                tracing::error!(first, next, "records could not be taken into the lake");
                counter!("springhouse_lake_lost_records_total").increment(next - first);
                Portion { chunks: Vec::new(), next, rest: Vec::new().into_iter() }
            });
            self.push(portion.chunks, portion.next);
            records = portion.rest;
        }
    }

    fn push(&self, chunks: Vec<(u32, Chunk)>, next: u64) {
        let bytes = {
            let mut state = self.state.lock();
            for (stream, chunk) in chunks {
                if self.catalog.stream(stream).is_some_and(|entry| !is_internal(&entry)) {
                    state.push(stream, chunk);
                }
            }
            state.next = state.next.max(next);
            state.tail_bytes()
        };
        self.consumed.send_replace(next);
        if bytes >= self.options.flush_bytes {
            self.due.notify_one();
        }
    }

    /// Flushes when there is enough or it is time, for ever.
    pub(crate) async fn keep_flushing(self: Arc<Shared>) {
        let mut clock = tokio::time::interval(self.options.flush_every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        loop {
            tokio::select! {
                () = self.due.notified() => {}
                _ = clock.tick() => {}
            }
            let began = Instant::now();
            match self.flush().await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(rows, took = ?began.elapsed(), "flushed"),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the lake cannot flush");
                    counter!("springhouse_lake_flush_failures_total").increment(1);
                    tokio::time::sleep(RETRY_AFTER).await;
                    self.due.notify_one();
                }
            }
        }
    }

    /// Merges, drops what is too old, deletes what nobody reads any more, for ever.
    pub(crate) async fn keep_tidy(self: Arc<Shared>) {
        let mut clock = tokio::time::interval(self.options.tidy_every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clock.tick().await;
        loop {
            clock.tick().await;
            if let Err(error) = self.tidy().await {
                tracing::error!(error = &error as &dyn std::error::Error, "the lake cannot tidy up");
                counter!("springhouse_lake_tidy_failures_total").increment(1);
            }
        }
    }

    pub(crate) async fn tidy(&self) -> Result<(), LakeError> {
        self.settle().await?;
        self.forget_dropped_streams();
        self.expire().await?;
        self.merge_where_due().await?;
        self.reap().await;
        Ok(())
    }

    /// Meta has forgotten the files of a dropped stream with it.
    fn forget_dropped_streams(&self) {
        let mut state = self.state.lock();
        for stream in state.streams_with_files() {
            if self.catalog.stream(stream).is_none() {
                self.removed.lock().extend(state.forget(stream));
            }
        }
    }

    /// Drops files whose youngest row is past its stream's retention.
    async fn expire(&self) -> Result<(), LakeError> {
        let now = self.clock.now();
        for entry in self.catalog.all() {
            let Some(retention_us) = entry.retention_us else { continue };
            let oldest = now.plus_micros(-retention_us);
            let files = self.state.lock().view(entry.id).files;
            let expired: Vec<i64> =
                files.iter().filter(|file| file.max_ts < oldest).map(|file| file.id).collect();
            if !expired.is_empty() {
                let doing = "drop files past their retention";
                self.change(Change { doing, remove: expired, ..Change::default() }).await?;
            }
        }
        Ok(())
    }
}

/// What was decoded of some records at once.
struct Portion {
    /// Readings by stream.
    chunks: Vec<(u32, Chunk)>,
    /// The offset behind them.
    next: u64,
    /// Records that are still to be taken.
    rest: IntoIter<Arc<Record>>,
}

/// Decodes the first of some records. One that cannot be decoded is reported and passed over: it would otherwise stop
/// the lake for all streams, and the log keeps it.
fn portion(mut records: IntoIter<Arc<Record>>) -> Portion {
    let (mut chunks, mut bytes, mut next) = (Vec::new(), 0, 0);
    while bytes < PORTION_BYTES
        && let Some(record) = records.next()
    {
        next = record.next_offset().0;
        if record.kind != Kind::Readings || record.stream == 0 {
            continue;
        }
        match record.batch() {
            Ok(batch) if batch.num_rows() > 0 => {
                bytes += batch.get_array_memory_size();
                let chunk = Chunk {
                    first_offset: record.offset.0,
                    last_offset: record.offset.0,
                    schema_version: record.schema_version,
                    batch,
                };
                chunks.push((record.stream, chunk));
            }
            Ok(_) => {}
            Err(error) => {
                let offset = record.offset.0;
                tracing::error!(
                    offset,
                    error = &error as &dyn std::error::Error,
                    "a record cannot be decoded"
                );
                counter!("springhouse_lake_undecodable_records_total").increment(1);
            }
        }
    }
    Portion { chunks, next, rest: records }
}
