//! The newest records in memory, so that readers who are not behind never touch the disk nor decode.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Offset, Record};

/// A ring of consecutive records, bounded by bytes. The newest record stays even when it alone exceeds the bound.
pub(crate) struct Tail {
    records: VecDeque<(Arc<Record>, usize)>,
    /// Offset of the first record, of the next one when there is none.
    start: u64,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(crate) fn new(start: u64, bytes_max: usize) -> Tail {
        Tail { records: VecDeque::new(), start, bytes: 0, bytes_max }
    }

    pub(crate) fn push(&mut self, record: Arc<Record>) {
        let bytes = record.memory_bytes();
        self.bytes += bytes;
        self.records.push_back((record, bytes));
        while self.bytes > self.bytes_max && self.records.len() > 1 {
            self.pop();
        }
    }

    /// Forgets what retention has removed, so that the head is the same for memory and disk.
    pub(crate) fn trim(&mut self, head: u64) {
        while self.start < head && !self.records.is_empty() {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, bytes)) = self.records.pop_front() {
            self.bytes -= bytes;
            self.start += 1;
        }
    }

    /// Records from `from` on, `None` when it is older than the tail.
    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Option<Vec<Arc<Record>>> {
        let skip = usize::try_from(from.0.checked_sub(self.start)?).unwrap_or(usize::MAX);
        if skip >= self.records.len() {
            return Some(Vec::new());
        }
        let mut bytes = 0_usize;
        let mut found: Vec<Arc<Record>> = Vec::new();
        for (record, _) in self.records.range(skip..) {
            bytes = bytes.saturating_add(record.payload.len().max(1));
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(Arc::clone(record));
        }
        Some(found)
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use springhouse_model::Timestamp;

    use super::*;
    use crate::Append;
    use crate::record::number;

    fn tail_of(count: u64, bytes_max: usize) -> Tail {
        let mut tail = Tail::new(10, bytes_max);
        for n in 0..count {
            let append = Append::session(Bytes::from(vec![0; 1000]));
            tail.push(Arc::new(number(append, Offset(10 + n), Timestamp(0), &mut [])));
        }
        tail
    }

    fn offsets(tail: &Tail, from: u64, bytes_max: usize) -> Option<Vec<u64>> {
        tail.read(Offset(from), bytes_max).map(|found| found.iter().map(|record| record.offset.0).collect())
    }

    #[test]
    fn it_keeps_the_newest_within_its_bytes() {
        let tail = tail_of(20, 5_000);
        assert!(tail.bytes() <= 5_000);
        assert_eq!(offsets(&tail, 28, usize::MAX), Some(vec![28, 29]));
        assert_eq!(offsets(&tail, 10, usize::MAX), None);
        assert_eq!(tail_of(3, 0).len(), 1);
    }

    #[test]
    fn a_read_gives_at_least_one_record_and_nothing_at_the_end() {
        let tail = tail_of(5, usize::MAX);
        assert_eq!(offsets(&tail, 10, 0), Some(vec![10]));
        assert_eq!(offsets(&tail, 12, 2000), Some(vec![12, 13]));
        assert_eq!(offsets(&tail, 15, 2000), Some(vec![]));
        assert_eq!(offsets(&tail, 99, 2000), Some(vec![]));
        assert_eq!(offsets(&tail, 9, 2000), None);
    }
}
