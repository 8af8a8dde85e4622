//! The store in one SQLite file, through sqlx.
//!
//! WAL mode: readers go on while somebody writes. Writes take turns inside the process and begin with
//! `BEGIN IMMEDIATE`, so that a second process (the command line beside a running hub) waits for its turn too
//! and nobody fails in the middle for having read first. The statements keep to what PostgreSQL understands as
//! well; see the head of the first migration.

mod alerts;
mod certificates;
mod consumers;
mod devices;
mod files;
mod functions;
mod migrations;
mod persons;
mod pipelines;
mod quarantine;
mod rows;
mod settings;
mod streams;
mod tables;
mod tokens;
mod twin;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use springhouse_model::{Clock, SystemClock, Timestamp};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{MetaError, Result};

/// How long a write waits for one of another process; a migration or a purge may take seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
/// Queries of the page come in bursts of a few; more connections would only cost memory.
const READERS_MAX: u32 = 4;

/// What a power cut may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// Nothing: the commit is on disk when it returns. For everything that is told to somebody, and for offsets
    /// after which the log is free to forget.
    Full,
    /// The last transactions together with the offset they carry; whoever wrote them reads the log again.
    Replayed,
}

/// The store in a file of its own, or in memory for tests.
pub struct SqliteMeta {
    full: SqlitePool,
    replayed: SqlitePool,
    readers: SqlitePool,
    /// One writer at a time, first come first served; SQLite alone would let them poll.
    turn: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl SqliteMeta {
    /// Opens or creates the file and brings its layout up to date; a file of a newer version is refused.
    pub async fn open(path: impl AsRef<Path>) -> Result<SqliteMeta> {
        SqliteMeta::open_with(path, Arc::new(SystemClock)).await
    }

    pub async fn open_with(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<SqliteMeta> {
        let path = path.as_ref();
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let full = pool(options.clone(), 1).await?;
        migrations::migrate(&full, path).await?;
        let replayed = pool(options.clone().synchronous(SqliteSynchronous::Normal), 1).await?;
        let readers = pool(options.pragma("query_only", "on"), READERS_MAX).await?;
        Ok(SqliteMeta { full, replayed, readers, turn: Arc::new(Semaphore::new(1)), clock })
    }

    /// A store that is gone when it is dropped.
    pub async fn in_memory() -> Result<SqliteMeta> {
        SqliteMeta::in_memory_with(Arc::new(SystemClock)).await
    }

    pub async fn in_memory_with(clock: Arc<dyn Clock>) -> Result<SqliteMeta> {
        let options = SqliteConnectOptions::new().filename(":memory:").foreign_keys(true);
        // Each connection to `:memory:` is a database of its own, hence one for all purposes.
        let only = pool(options, 1).await?;
        migrations::migrate(&only, Path::new(":memory:")).await?;
        let (full, replayed) = (only.clone(), only.clone());
        Ok(SqliteMeta { full, replayed, readers: only, turn: Arc::new(Semaphore::new(1)), clock })
    }

    /// Writes the WAL back and closes; what is not called before the process ends is made up for at the next open.
    pub async fn close(&self) {
        self.readers.close().await;
        self.replayed.close().await;
        // The last connection does this by itself, unless it is closed a moment before another.
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.full).await {
            tracing::warn!(%error, "the write-ahead log of meta stays for the next start");
        }
        self.full.close().await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn write(&self, durability: Durability) -> Result<Write> {
        let doing = "begin a transaction";
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|closed| MetaError::Environment { doing, source: closed.into() })?;
        let pool = match durability {
            Durability::Full => &self.full,
            Durability::Replayed => &self.replayed,
        };
        let transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(database(doing))?;
        Ok(Write { transaction, _turn: turn })
    }
}

/// A transaction that holds the writer's turn; dropped without `commit` it has changed nothing.
struct Write {
    transaction: Transaction<'static, Sqlite>,
    _turn: OwnedSemaphorePermit,
}

impl Write {
    fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    async fn commit(self) -> Result<()> {
        self.transaction.commit().await.map_err(database("commit a transaction"))
    }
}

/// Says what was being done when SQLite failed.
fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> MetaError {
    move |source| MetaError::Database { doing, source }
}

async fn pool(options: SqliteConnectOptions, connections_max: u32) -> Result<SqlitePool> {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(database("open the metadata database"))
}

/// Creates the file for its owner's eyes only, before SQLite would do it by the umask; the WAL inherits it.
fn create_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(source) => {
            Err(MetaError::Environment { doing: "create the metadata database", source: source.into() })
        }
    }
}
