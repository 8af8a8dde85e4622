//! What the writer thread and the callers of a disk log both see.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use springhouse_model::Timestamp;
use tokio::sync::watch;

use crate::segment::Segment;
use crate::tail::Tail;
use crate::{LogError, Offset, Record, Stats};

pub(crate) struct Shared {
    pub dir: PathBuf,
    /// In order of their bases; the last one is written to. Never empty after opening.
    pub segments: RwLock<Vec<Arc<Segment>>>,
    pub tail: RwLock<Tail>,
    pub end: watch::Sender<Offset>,
    pub producers: RwLock<HashMap<u64, u64>>,
    pub rows: Mutex<Vec<u64>>,
    pub holds: Mutex<BTreeMap<String, Offset>>,
    pub poisoned: RwLock<Option<Arc<str>>>,
    pub commits: AtomicU64,
    pub segments_free: AtomicU64,
    pub bytes: AtomicU64,
}

impl Shared {
    pub(crate) fn head(&self) -> Offset {
        Offset(self.segments.read().first().map_or(0, |first| first.base))
    }

    pub(crate) fn end(&self) -> Offset {
        *self.end.borrow()
    }

    pub(crate) fn check_sound(&self) -> Result<(), LogError> {
        match self.poisoned.read().clone() {
            Some(reason) => Err(LogError::Poisoned { reason }),
            None => Ok(()),
        }
    }

    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Arc<Record>>, LogError> {
        if let Some(records) = self.tail.read().read(from, bytes_max) {
            return Ok(records);
        }
        let end = self.end().0;
        let segments = self.segments.read().clone();
        let first = segments.partition_point(|segment| segment.base <= from.0);
        let Some(first) = first.checked_sub(1) else { return Err(LogError::Trimmed { head: self.head() }) };
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (number, segment) in segments.iter().enumerate().skip(first) {
            let segment_end = segments.get(number + 1).map_or(end, |next| next.base);
            if segment_end > from.0 {
                segment.read(from.0, segment_end, bytes_max, &mut records)?;
                bytes = records.iter().map(|record: &Record| record.payload.len().max(1)).sum();
            }
            let is_complete = records.last().is_none_or(|last| last.offset.0 + 1 == segment_end);
            if bytes >= bytes_max || !is_complete {
                break;
            }
        }
        Ok(records.into_iter().map(Arc::new).collect())
    }

    pub(crate) fn offset_at(&self, time: Timestamp) -> Result<Offset, LogError> {
        let end = self.end().0;
        let segments = self.segments.read().clone();
        // A segment is created at the time of its first record, so the record lies in the last segment created before
        // `time` or is the first of the next one.
        let Some(number) = segments.partition_point(|segment| segment.created_at < time).checked_sub(1)
        else {
            return Ok(self.head());
        };
        let segment_end = segments.get(number + 1).map_or(end, |next| next.base);
        segments[number].offset_at(time, segment_end).map(Offset)
    }

    pub(crate) fn stats(&self) -> Stats {
        let (tail_records, tail_bytes) = {
            let tail = self.tail.read();
            (tail.len(), tail.bytes())
        };
        let holds = self.holds.lock().iter().map(|(consumer, from)| (consumer.clone(), *from)).collect();
        Stats {
            head: self.head(),
            end: self.end(),
            bytes: self.bytes.load(Ordering::Relaxed),
            segments: self.segments.read().len(),
            segments_free: self.segments_free.load(Ordering::Relaxed) as usize,
            tail_records,
            tail_bytes,
            commits: self.commits.load(Ordering::Relaxed),
            rows: self.rows.lock().clone(),
            holds,
            poisoned: self.poisoned.read().clone(),
        }
    }
}
