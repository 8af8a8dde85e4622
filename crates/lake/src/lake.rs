//! Opening, asking and closing a lake.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use object_store::ObjectStore;
use parking_lot::Mutex;
use springhouse_engine::Threads;
use springhouse_log::{Log, Offset};
use springhouse_meta::Meta;
use springhouse_model::{Clock, TenantId};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::catalog::Catalog;
use crate::keeper::Shared;
use crate::manifest::CONSUMER;
use crate::query::{
    self, Backtest, BacktestRequest, QueryResult, QueryRows, RowsFilter, Series, SeriesRequest,
};
use crate::state::State;
use crate::storage::Storage;
use crate::twin::Twin;
use crate::{LakeError, Options};

/// How long a query waits for the tail to hold what was acknowledged before it; longer only when the lake is behind.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Backtests that compute at the same time: each keeps a thread busy that queries want too.
const BACKTESTS_MAX: usize = 1;

/// History and last values of all streams. A cheap clone; the last one dropped stops everything without flushing.
#[derive(Clone)]
pub struct Lake {
    shared: Arc<Shared>,
    twin: Twin,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// What the lake stands on.
#[derive(Clone)]
pub struct Parts {
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub catalog: Arc<dyn Catalog>,
    pub clock: Arc<dyn Clock>,
}

/// What the lake holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub files: u64,
    pub file_bytes: u64,
    pub file_rows: u64,
    pub tail_rows: u64,
    pub tail_bytes: u64,
    /// Records before this are in files.
    pub flushed: u64,
    /// Records before this are seen by queries.
    pub consumed: u64,
}

/// How much a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// In files and in memory.
    pub rows: u64,
    /// Of files.
    pub bytes: u64,
}

impl Lake {
    /// Opens the lake in its folder, removes what a crash left over and begins to follow the log.
    pub async fn open(options: Options, parts: Parts) -> Result<Lake, LakeError> {
        Lake::open_in(Storage::in_folder(&options.dir)?, options, parts).await
    }

    /// As [`Lake::open`], on any object store, which must make an object durable before it says that it is written.
    pub async fn open_on(
        store: Arc<dyn ObjectStore>,
        options: Options,
        parts: Parts,
    ) -> Result<Lake, LakeError> {
        Lake::open_in(Storage::on(store), options, parts).await
    }

    async fn open_in(storage: Storage, options: Options, parts: Parts) -> Result<Lake, LakeError> {
        let Parts { meta, log, catalog, clock } = parts;
        let offset = meta.offset(CONSUMER).await.map_err(LakeError::meta("look up the lake's offset"))?;
        let offset = offset.unwrap_or_else(|| log.head().0);
        if offset > log.end().0 {
            return Err(LakeError::LogBehind { lake: offset, log: log.end().0 });
        }
        // The log lets nothing go that the lake has not read.
        if offset < log.head().0 {
            return Err(LakeError::MetaBehind { lake: offset, log: log.head().0 });
        }
        log.hold(CONSUMER, Offset(offset));
        let files = meta.all_files().await.map_err(LakeError::meta("list lake files"))?;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(options.query_memory_bytes)))
            .with_max_temp_directory_size(options.query_spill_bytes)
            .build_arc()
            .map_err(LakeError::arrow("prepare queries"))?;
        runtime.register_object_store(query::store_url().as_ref(), Arc::clone(&storage.store));
        let threads = Threads::new("lake", options.threads)
            .map_err(|source| LakeError::Io { doing: "start the lake's threads", source })?;
        let twin = Twin::open(&options, Arc::clone(&meta), Arc::clone(&log), Arc::clone(&catalog)).await?;
        let shared = Arc::new(Shared {
            threads: Arc::new(threads),
            session: query::session(&options, Arc::clone(&runtime)),
            backtests: Arc::new(Semaphore::new(BACKTESTS_MAX)),
            options,
            meta,
            log,
            catalog,
            clock,
            storage,
            runtime,
            state: Mutex::new(State::new(files, offset)),
            consumed: watch::Sender::new(offset),
            flushing: tokio::sync::Mutex::new(()),
            changes: tokio::sync::Mutex::default(),
            removed: Mutex::new(Vec::new()),
            due: Notify::new(),
            drained: Notify::new(),
        });
        shared.remove_orphans().await?;
        shared.publish_sizes();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&shared).follow());
        tasks.spawn(Arc::clone(&shared).keep_flushing());
        tasks.spawn(Arc::clone(&shared).keep_tidy());
        tasks.spawn(twin.clone().follow());
        tasks.spawn(twin.clone().keep_persisting());
        Ok(Lake { shared, twin, tasks: Arc::new(Mutex::new(tasks)) })
    }

    /// Last values.
    pub fn twin(&self) -> &Twin {
        &self.twin
    }

    /// Answers one SELECT over the streams of a tenant, `devices` and `twin`. Sees every row that was acknowledged
    /// before the call. Dropping the stream ends the query.
    pub async fn query(&self, tenant: &TenantId, sql: &str) -> Result<QueryResult, LakeError> {
        self.catch_up().await;
        query::start(&self.shared, &self.twin, tenant, sql).await
    }

    /// As [`Lake::query`], with all rows at once.
    pub async fn query_all(&self, tenant: &TenantId, sql: &str) -> Result<QueryRows, LakeError> {
        self.query(tenant, sql).await?.collect().await
    }

    /// Runs a pipeline over the history of its source: the rows that it has written, or would have.
    pub async fn backtest(&self, request: BacktestRequest) -> Result<Backtest, LakeError> {
        self.catch_up().await;
        query::backtest(&self.shared, request).await
    }

    /// Minimum, average and maximum of a property in equal steps of time, for a chart.
    pub async fn series(&self, request: &SeriesRequest) -> Result<Series, LakeError> {
        self.catch_up().await;
        query::series(&self.shared, request).await
    }

    /// The latest rows of a stream, newest first.
    pub async fn recent(&self, filter: &RowsFilter, limit: usize) -> Result<QueryRows, LakeError> {
        self.catch_up().await;
        query::recent(&self.shared, filter, limit).await
    }

    /// Writes down what is in memory; returns how many rows.
    pub async fn flush(&self) -> Result<u64, LakeError> {
        self.catch_up().await;
        self.shared.flush().await
    }

    /// Merges the files of every stream and day, and deletes the merged ones that no query reads.
    pub async fn compact(&self) -> Result<(), LakeError> {
        self.shared.merge_all().await?;
        self.shared.reap().await;
        Ok(())
    }

    /// What happens by itself every [`Options::tidy_every`]: merging where it is due, retention, deleting.
    pub async fn tidy(&self) -> Result<(), LakeError> {
        self.shared.tidy().await
    }

    pub fn stats(&self) -> Stats {
        let state = self.shared.state.lock();
        let mut stats = Stats {
            tail_rows: state.tail_rows(),
            tail_bytes: state.tail_bytes() as u64,
            flushed: state.flushed,
            consumed: state.next,
            ..Stats::default()
        };
        for file in state.all_files() {
            stats.files += 1;
            stats.file_bytes += file.bytes;
            stats.file_rows += file.rows;
        }
        stats
    }

    /// How much one stream holds.
    pub fn size_of(&self, stream: u32) -> Size {
        let view = self.shared.state.lock().view(stream);
        let in_memory = view.chunks.iter().map(|chunk| chunk.batch.num_rows() as u64).sum::<u64>();
        Size {
            rows: view.files.iter().map(|file| file.rows).sum::<u64>() + in_memory,
            bytes: view.files.iter().map(|file| file.bytes).sum(),
        }
    }

    /// Flushes, writes last values down and stops. What cannot be written is read from the log at the next start.
    pub async fn shutdown(&self) {
        for outcome in [self.flush().await.map(|_| ()), self.twin.persist().await] {
            if let Err(error) = outcome {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the lake could not write everything down"
                );
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
    }

    /// Waits until the tail and the twin hold what the log holds at this moment.
    async fn catch_up(&self) {
        let end = self.shared.log.end().0;
        let caught_up = async {
            for mut consumed in [self.shared.consumed.subscribe(), self.twin.consumed()] {
                let _ = consumed.wait_for(|consumed| *consumed >= end).await;
            }
        };
        if tokio::time::timeout(CATCH_UP, caught_up).await.is_err() {
            tracing::warn!("the lake is behind the log; a query sees the rows up to where it is");
        }
    }
}
