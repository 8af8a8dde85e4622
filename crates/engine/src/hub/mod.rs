//! The engine of a hub: every pipeline a task of its own on the log, created, paused and dropped while data flows.
//!
//! What pipelines exist is written in meta, what they read and write goes through the log, and what they remember is in
//! snapshots; a pipeline that fails stops alone.

mod again;
mod backtest;
mod budget;
mod change;
mod create;
mod draft;
mod episodes;
mod error;
mod execute;
mod explain;
mod feed;
mod functions;
mod observe;
mod preview;
mod proposal;
mod replace;
mod roster;
mod sample;
mod scan;
mod silence;
mod snapshot;
mod status;
mod streams;
mod tables;
mod tap;
mod targets;
mod task;
mod versions;

use std::path::PathBuf;
use std::sync::Arc;

use springhouse_ingest::Ingest;
use springhouse_log::Log;
use springhouse_meta::{Meta, PipelineEntry};
use springhouse_model::{StreamKey, StreamName, TenantId};

pub use backtest::{BacktestOf, BacktestPlan};
pub use change::{Change, ChangeKind, StateChange};
pub use error::EngineError;
pub use execute::Outcome;
pub use functions::{FunctionStatus, FunctionUser, Functions, UsedFunction};
pub use preview::{Preview, PreviewWish};
pub use proposal::{Proposal, ProposedDrop, ProposedError, ProposedStep};
pub use sample::Sample;
pub use status::{PipelineStatus, RunState};
pub use streams::Streams;
pub use tables::{History, TableOptions, TableStatus, Tables};
pub use tap::Tap;

use budget::Budgets;
use roster::Roster;
use scan::Scans;
use tokio::sync::Semaphore;

use crate::Threads;

/// Previews that compute at the same time.
const PREVIEWS_MAX: usize = 4;
/// Snapshots that are written at the same time.
const WRITERS_MAX: usize = 4;

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Snapshots are kept in `snapshots/` below it.
    pub data_dir: PathBuf,
    /// Threads on which pipelines and previews compute.
    pub threads: usize,
    /// What the open windows of one pipeline may hold; beyond it the pipeline fails and the others run on.
    pub pipeline_bytes_max: usize,
    /// The same for all pipelines of a tenant together.
    pub tenant_bytes_max: usize,
    pub tables: TableOptions,
}

impl Options {
    pub fn new(data_dir: PathBuf) -> Options {
        let tables = TableOptions::new(&data_dir);
        Options { data_dir, threads: 2, pipeline_bytes_max: 256 << 20, tenant_bytes_max: 1 << 30, tables }
    }
}

/// Runs the pipelines of a hub. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) meta: Arc<dyn Meta>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) streams: Arc<dyn Streams>,
    pub(crate) roster: Roster,
    pub(crate) scans: Scans,
    pub(crate) budgets: Budgets,
    pub(crate) tables: Tables,
    pub(crate) functions: Functions,
    /// Reads the sources of tables again.
    timer: parking_lot::Mutex<Option<crate::Task<()>>>,
    /// Statements that change something take turns.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Those who ask for more previews wait.
    pub(crate) previews: Semaphore,
    /// Those of pipelines that are written take turns.
    pub(crate) writers: Arc<Semaphore>,
    pub(crate) threads: Threads,
}

impl Engine {
    /// Starts all pipelines that ran when the hub stopped.
    pub async fn open(
        options: Options,
        meta: Arc<dyn Meta>,
        log: Arc<dyn Log>,
        ingest: Ingest,
    ) -> Result<Engine, EngineError> {
        Engine::open_over(options, meta, log, Arc::new(ingest)).await
    }

    /// As [`Engine::open`], over any streams.
    pub async fn open_over(
        options: Options,
        meta: Arc<dyn Meta>,
        log: Arc<dyn Log>,
        streams: Arc<dyn Streams>,
    ) -> Result<Engine, EngineError> {
        let threads = Threads::new("engine", options.threads).map_err(EngineError::Threads)?;
        let budgets = Budgets::new(options.pipeline_bytes_max, options.tenant_bytes_max);
        let scans = Scans::new(&log, &streams, &threads, options.threads)?;
        let (data_dir, table_options) = (options.data_dir.clone(), options.tables.clone());
        let tables = Tables::open(table_options, &data_dir, Arc::clone(&meta), Arc::clone(&log)).await?;
        for table in tables.entries() {
            streams.set_table(&StreamKey::new(table.tenant, table.name), true);
        }
        let functions = Functions::open(meta.as_ref()).await?;
        let shared = Shared {
            options,
            scans,
            budgets,
            tables,
            functions,
            timer: parking_lot::Mutex::default(),
            meta,
            log,
            streams,
            roster: Roster::default(),
            turn: tokio::sync::Mutex::new(()),
            previews: Semaphore::new(PREVIEWS_MAX),
            writers: Arc::new(Semaphore::new(WRITERS_MAX)),
            threads,
        };
        let engine = Engine { shared: Arc::new(shared) };
        for entry in engine.shared.meta.pipelines(None).await? {
            engine.shared.adopt(entry).await;
        }
        engine.shared.scans.begin();
        // Before the first row asks for it.
        for program in engine.shared.functions.shared_programs() {
            engine.shared.threads.begin_blocking(move || {
                // Why it cannot be is told to whoever calls it.
                let _ = program.sandbox();
            });
        }
        let keep = Shared::keep_tables(Arc::downgrade(&engine.shared), engine.shared.tables.clone());
        *engine.shared.timer.lock() = Some(engine.shared.threads.start(keep)?);
        Ok(engine)
    }

    /// How the pipelines and alert rules of a tenant are doing, in the order of their creation.
    pub async fn status(&self, tenant: &TenantId) -> Vec<PipelineStatus> {
        self.shared.status(tenant)
    }

    /// Stops all pipelines; each leaves a snapshot behind.
    pub async fn shutdown(&self) {
        let _turn = self.shared.turn.lock().await;
        drop(self.shared.timer.lock().take());
        self.shared.tables.ask_no_more();
        for stopped in self.shared.roster.stop_all() {
            stopped.ended().await;
        }
    }
}

/// The stream that takes the late rows of a pipeline.
pub(crate) fn late_key(entry: &PipelineEntry) -> Result<StreamKey, EngineError> {
    let name: StreamName = entry
        .name
        .parse()
        .map_err(|error: springhouse_model::NameError| crate::PlanError::new(error.to_string()))?;
    Ok(StreamKey::new(entry.tenant.clone(), crate::late_stream(&name)?))
}
