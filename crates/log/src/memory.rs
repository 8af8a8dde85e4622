//! A log without a disk: the same contract for tests of those who read and write one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use springhouse_model::{Clock, SystemClock, Timestamp};
use tokio::sync::watch;

use crate::record::{check, number};
use crate::segment::Counts;
use crate::{Append, Log, LogError, Offset, Producer, Record, Stats};

/// Keeps everything in memory, at most `retention_bytes` of it.
pub struct MemoryLog {
    state: Mutex<State>,
    end: watch::Sender<Offset>,
    clock: Arc<dyn Clock>,
    retention_bytes: u64,
}

#[derive(Default)]
struct State {
    head: u64,
    records: VecDeque<Arc<Record>>,
    bytes: u64,
    counts: Counts,
    holds: BTreeMap<String, Offset>,
    commits: u64,
    closed: bool,
}

impl Default for MemoryLog {
    fn default() -> MemoryLog {
        MemoryLog::new(Arc::new(SystemClock), None)
    }
}

impl MemoryLog {
    pub fn new(clock: Arc<dyn Clock>, retention_bytes: Option<u64>) -> MemoryLog {
        MemoryLog {
            state: Mutex::default(),
            end: watch::Sender::new(Offset(0)),
            clock,
            retention_bytes: retention_bytes.unwrap_or(u64::MAX),
        }
    }
}

impl State {
    fn end(&self) -> Offset {
        Offset(self.head + self.records.len() as u64)
    }

    fn push(&mut self, append: Append, now: Timestamp) {
        let appended_at = self.records.back().map_or(now, |last| last.appended_at.max(now));
        let record = number(append, self.end(), appended_at, &mut self.counts.rows);
        self.counts.note_producer(&record);
        self.bytes += record.payload.len() as u64;
        self.records.push_back(Arc::new(record));
    }

    fn trim(&mut self, bytes_max: u64) {
        let hold = self.holds.values().min().copied().unwrap_or(Offset(u64::MAX));
        // The last record stays, as the last segment of a disk does.
        while self.bytes > bytes_max && self.records.len() > 1 && self.head < hold.0 {
            let gone = self.records.pop_front();
            self.bytes -= gone.map_or(0, |record| record.payload.len() as u64);
            self.head += 1;
        }
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, appends: Vec<Append>) -> Result<Offset, LogError> {
        check(&appends, u64::MAX)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(LogError::Closed);
        }
        let (first, now) = (state.end(), self.clock.now());
        for append in appends {
            state.push(append, now);
        }
        state.commits += 1;
        state.trim(self.retention_bytes);
        self.end.send_replace(state.end());
        Ok(first)
    }

    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        let head = self.head();
        self.read_memory(from, bytes_max).ok_or(LogError::Trimmed { head })
    }

    fn read_memory(&self, from: Offset, bytes_max: usize) -> Option<Vec<Arc<Record>>> {
        let state = self.state.lock();
        let skip = usize::try_from(from.0.checked_sub(state.head)?).unwrap_or(usize::MAX);
        let mut bytes = 0_usize;
        let fits = |record: &&Arc<Record>| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(record.payload.len().max(1));
            is_first || bytes <= bytes_max
        };
        Some(state.records.iter().skip(skip).take_while(fits).cloned().collect())
    }

    fn head(&self) -> Offset {
        Offset(self.state.lock().head)
    }

    fn end(&self) -> Offset {
        *self.end.borrow()
    }

    fn watch(&self) -> watch::Receiver<Offset> {
        self.end.subscribe()
    }

    fn offset_at(&self, time: Timestamp) -> Result<Offset, LogError> {
        let state = self.state.lock();
        let before = state.records.partition_point(|record| record.appended_at < time);
        Ok(Offset(state.head + before as u64))
    }

    fn last_producer(&self, id: u64) -> Option<Producer> {
        self.state.lock().counts.producers.get(&id).map(|seq| Producer { id, seq: *seq })
    }

    fn hold(&self, consumer: &str, from: Offset) {
        self.state.lock().holds.insert(consumer.to_owned(), from);
    }

    fn release(&self, consumer: &str) {
        self.state.lock().holds.remove(consumer);
    }

    fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats {
            head: Offset(state.head),
            end: state.end(),
            bytes: state.bytes,
            tail_records: state.records.len(),
            tail_bytes: usize::try_from(state.bytes).unwrap_or(usize::MAX),
            commits: state.commits,
            rows: state.counts.rows.clone(),
            holds: state.holds.iter().map(|(consumer, from)| (consumer.clone(), *from)).collect(),
            ..Stats::default()
        }
    }

    async fn close(&self) {
        self.state.lock().closed = true;
    }
}
