//! Following a log without blocking the async threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Log, LogError, Offset, Record};

/// A position in a log that moves as it is read. Holds nothing: a consumer that must not lose records puts a hold.
pub struct Reader {
    log: Arc<dyn Log>,
    position: Offset,
    end: watch::Receiver<Offset>,
    pace: Duration,
    /// When to look again after the last records.
    rests_until: Option<Instant>,
}

/// For consumers that nobody waits for to the millisecond. Waking one costs more than what it does for a single
/// reading, and there may be thousands of commits a second.
pub const PACE: Duration = Duration::from_millis(2);

impl Reader {
    pub fn new(log: Arc<dyn Log>, from: Offset) -> Reader {
        let end = log.watch();
        Reader { log, position: from, end, pace: Duration::ZERO, rests_until: None }
    }

    /// Wakes up for new records no oftener than this. The first records after a silence come at once, and a reader that is
    /// behind does not wait.
    pub fn paced(self, pace: Duration) -> Reader {
        Reader { pace, ..self }
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
                self.rests_until = (!self.pace.is_zero()).then(|| Instant::now() + self.pace);
                return Ok(records);
            }
            // Rests before it listens: the commits of that time wake nobody.
            if let Some(until) = self.rests_until {
                tokio::time::sleep_until(until).await;
                self.rests_until = None;
                continue;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use springhouse_model::SystemClock;

    use super::*;
    use crate::{Append, MemoryLog};

    #[tokio::test(start_paused = true)]
    async fn a_paced_reader_is_woken_at_once_after_a_silence_and_then_not_too_often() {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new(Arc::new(SystemClock), None));
        let mut reader = Reader::new(Arc::clone(&log), Offset(0)).paced(Duration::from_millis(2));
        let began = Instant::now();
        let mut waits = Vec::new();
        for silence_ms in [0, 0, 0, 10, 0] {
            tokio::time::sleep(Duration::from_millis(silence_ms)).await;
            let appended = Instant::now();
            let appending = Arc::clone(&log);
            let append = async move {
                tokio::task::yield_now().await;
                appending.append(vec![Append::session(Bytes::from_static(b"event"))]).await.unwrap();
            };
            let (records, ()) = tokio::join!(reader.next(1024), append);
            assert_eq!(records.unwrap().len(), 1);
            waits.push(appended.elapsed().as_millis());
        }
        assert_eq!(waits, [0, 2, 2, 0, 2]);
        assert_eq!(began.elapsed().as_millis(), 16);
    }
}
