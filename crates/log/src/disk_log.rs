//! The log on a disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use springhouse_model::{Clock, SystemClock, Timestamp};
use tokio::sync::watch;

use crate::{Append, Disk, FileDisk, Log, LogError, Offset, Producer, Record, Stats};

/// How a log uses its disk and memory.
#[derive(Clone)]
pub struct Options {
    /// Size of a segment file, the unit of retention and of recovery.
    pub segment_bytes: u64,
    /// Oldest segments go when the log takes more than this.
    pub retention_bytes: Option<u64>,
    /// Segments go when their newest record is older than this.
    pub retention_age: Option<Duration>,
    /// Emptied segments kept for reuse; saves the file system from allocating anew.
    pub segments_free_max: usize,
    /// Records kept in memory for readers who are not behind.
    pub tail_bytes: usize,
    /// Appends that wait for their commit or are in it; more have to wait before they may queue.
    pub queue_bytes: usize,
    /// How long a commit waits for company. 0: the commit before it is the only wait, best for latency.
    pub commit_linger: Duration,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 << 20,
            retention_bytes: Some(4 << 30),
            retention_age: None,
            segments_free_max: 2,
            tail_bytes: 32 << 20,
            queue_bytes: 32 << 20,
            commit_linger: Duration::ZERO,
            disk: Arc::new(FileDisk),
            clock: Arc::new(SystemClock),
        }
    }
}

/// A log in a directory of its own.
pub struct DiskLog {
    end: watch::Receiver<Offset>,
}

impl DiskLog {
    /// Opens or creates the log in `dir`, which belongs to this process until the log is dropped.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<DiskLog, LogError> {
        let _ = options;
        Err(LogError::InUse { path: dir.as_ref().to_owned() })
    }
}

#[async_trait]
impl Log for DiskLog {
    async fn append(&self, _appends: Vec<Append>) -> Result<Offset, LogError> {
        Err(LogError::Closed)
    }
    fn read(&self, _from: Offset, _bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        Err(LogError::Closed)
    }
    fn read_memory(&self, _from: Offset, _bytes_max: usize) -> Option<Vec<Arc<Record>>> {
        None
    }
    fn head(&self) -> Offset {
        Offset(0)
    }
    fn end(&self) -> Offset {
        *self.end.borrow()
    }
    fn watch(&self) -> watch::Receiver<Offset> {
        self.end.clone()
    }
    fn offset_at(&self, _time: Timestamp) -> Result<Offset, LogError> {
        Err(LogError::Closed)
    }
    fn last_producer(&self, _id: u64) -> Option<Producer> {
        None
    }
    fn hold(&self, _consumer: &str, _from: Offset) {}
    fn release(&self, _consumer: &str) {}
    fn stats(&self) -> Stats {
        Stats::default()
    }
    async fn close(&self) {}
}
