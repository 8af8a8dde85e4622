//! Following a log without blocking the async threads.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Log, LogError, Offset, Record};

/// A position in a log that moves as it is read. Holds nothing: a consumer that must not lose records puts a hold.
pub struct Reader {
    log: Arc<dyn Log>,
    position: Offset,
    end: watch::Receiver<Offset>,
}

impl Reader {
    pub fn new(log: Arc<dyn Log>, from: Offset) -> Reader {
        let end = log.watch();
        Reader { log, position: from, end }
    }

    /// Where the next read begins.
    pub fn position(&self) -> Offset {
        self.position
    }

    pub fn seek(&mut self, to: Offset) {
        self.position = to;
    }

    /// The next records; waits until there is at least one. Can be cancelled without losing records.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        loop {
            let records = self.next_ready(bytes_max).await?;
            if !records.is_empty() {
                return Ok(records);
            }
            let position = self.position;
            self.end.wait_for(|end| *end > position).await.map_err(|_| LogError::Closed)?;
        }
    }

    /// The records that are there, or none when the reader has caught up.
    pub async fn next_ready(&mut self, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        let records = match self.log.read_memory(self.position, bytes_max) {
            Some(records) => records,
            None => self.read_from_disk(bytes_max).await?,
        };
        if let Some(last) = records.last() {
            self.position = last.next_offset();
        }
        Ok(records)
    }

    async fn read_from_disk(&self, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        let (log, from) = (Arc::clone(&self.log), self.position);
        tokio::task::spawn_blocking(move || log.read(from, bytes_max)).await.map_err(|_| LogError::Closed)?
    }
}
