//! The contract of a log. [`crate::conformance`] is the same text as a test.

use std::sync::Arc;

use async_trait::async_trait;
use springhouse_model::Timestamp;
use tokio::sync::watch;

use crate::{Append, LogError, Offset, Producer, Record};

/// An append-only sequence of records with one order for everyone.
///
/// - [`append`](Log::append) returns after its records are durable, and only then can anyone read them.
/// - The records of one call are consecutive and survive together or not at all.
/// - Records in `[head, end)` can be read; offsets in it are dense.
/// - `head` moves only by retention and never past the lowest hold.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends all or none, waiting for room in the queue and for the commit. Returns the offset of the first record
    /// (the end of the log for an empty list). Many callers share one commit. A caller who stops waiting does not take
    /// the append back.
    async fn append(&self, appends: Vec<Append>) -> Result<Offset, LogError>;

    /// Records from `from` on: at least one when there is any, then as many as fit into `bytes_max` of payload; empty
    /// at or after the end. May read from the disk when `from` is no longer in memory: [`crate::Reader`] moves that
    /// off the async threads.
    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError>;

    /// As [`read`](Log::read), but only from memory: `None` means that `read` would go to the disk or fail.
    fn read_memory(&self, from: Offset, bytes_max: usize) -> Option<Vec<Arc<Record>>>;

    /// The first record that is kept.
    fn head(&self) -> Offset;

    /// One past the last durable record.
    fn end(&self) -> Offset;

    /// `end`, after each commit.
    fn watch(&self) -> watch::Receiver<Offset>;

    /// The first kept record appended at or after `time`; `end` when there is none.
    fn offset_at(&self, time: Timestamp) -> Result<Offset, LogError>;

    /// Where the producer goes on: `seq` is the number of its next row. Remembered for the whole life of the log,
    /// also past retention.
    fn last_producer(&self, id: u64) -> Option<Producer>;

    /// Keeps records from `from` on for `consumer`; replaces its earlier hold. Holds live in memory: consumers renew
    /// them after a start, before retention first runs.
    fn hold(&self, consumer: &str, from: Offset);

    fn release(&self, consumer: &str);

    fn stats(&self) -> Stats;

    /// Commits what is queued and refuses what comes later.
    async fn close(&self);
}

/// What a log looks like at one moment.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub head: Offset,
    pub end: Offset,
    /// Bytes of storage in use, preallocated ones included.
    pub bytes: u64,
    pub segments: usize,
    /// Emptied segments that wait for their next use.
    pub segments_free: usize,
    pub tail_records: usize,
    pub tail_bytes: usize,
    pub commits: u64,
    /// Rows ever appended, by partition: the base of the next span.
    pub rows: Vec<u64>,
    pub holds: Vec<(String, Offset)>,
    pub poisoned: Option<Arc<str>>,
}
