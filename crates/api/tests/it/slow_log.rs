//! A log whose commits wait for a hand.

use std::sync::Arc;

use async_trait::async_trait;
use springhouse_log::{Append, Log, LogError, MemoryLog, Offset, Producer, Record, Stats};
use springhouse_model::Timestamp;
use tokio::sync::watch;

pub struct SlowLog {
    log: MemoryLog,
    open: watch::Sender<bool>,
    /// Commits that have begun.
    begun: watch::Sender<usize>,
}

impl SlowLog {
    pub fn new() -> Arc<SlowLog> {
        let log = MemoryLog::default();
        Arc::new(SlowLog { log, open: watch::Sender::new(true), begun: watch::Sender::new(0) })
    }

    pub fn hold(&self) {
        self.open.send_replace(false);
    }

    pub fn let_go(&self) {
        self.open.send_replace(true);
    }

    pub fn begun(&self) -> watch::Receiver<usize> {
        self.begun.subscribe()
    }
}

#[async_trait]
impl Log for SlowLog {
    async fn append(&self, appends: Vec<Append>) -> Result<Offset, LogError> {
        self.begun.send_modify(|begun| *begun += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        self.log.append(appends).await
    }

    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        self.log.read(from, bytes_max)
    }

    fn read_memory(&self, from: Offset, bytes_max: usize) -> Option<Vec<Arc<Record>>> {
        self.log.read_memory(from, bytes_max)
    }

    fn head(&self) -> Offset {
        self.log.head()
    }

    fn end(&self) -> Offset {
        self.log.end()
    }

    fn watch(&self) -> watch::Receiver<Offset> {
        self.log.watch()
    }

    fn offset_at(&self, time: Timestamp) -> Result<Offset, LogError> {
        self.log.offset_at(time)
    }

    fn last_producer(&self, id: u64) -> Option<Producer> {
        self.log.last_producer(id)
    }

    fn hold(&self, consumer: &str, from: Offset) {
        self.log.hold(consumer, from);
    }

    fn release(&self, consumer: &str) {
        self.log.release(consumer);
    }

    fn stats(&self) -> Stats {
        self.log.stats()
    }

    async fn close(&self) {
        self.log.close().await;
    }
}
