//! Rows that wait for the log: numbered on from those that are written, each with the record that it was made at.

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use springhouse_ingest::Lineage;
use springhouse_log::{Offset, Producer};
use springhouse_model::StreamKey;

use super::Work;
use crate::RunError;
use crate::hub::EngineError;

/// Rows of one append; larger results are cut, so that records stay small enough for those who tail the stream.
const APPEND_ROWS: u64 = 16_384;

#[derive(Debug)]
pub(super) struct Waiting {
    producer: u64,
    /// The number of the first row that waits.
    next: u64,
    rows: u64,
    batches: Vec<RecordBatch>,
    /// The number of the first row that was made at a record.
    records: Vec<(u64, Offset)>,
}

impl Waiting {
    /// For rows from number `next` on; those below what the log has are passed over.
    pub(super) fn new(producer: u64, next: u64) -> Waiting {
        Waiting { producer, next, rows: 0, batches: Vec::new(), records: Vec::new() }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes what was made at a record.
    pub(super) fn push(&mut self, batches: Vec<RecordBatch>, record: Offset) {
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        if rows > 0 {
            self.records.push((self.next + self.rows, record));
            self.rows += rows;
            self.batches.extend(batches);
        }
    }

    /// Appends them to a stream. False when some of them wait on, because the log cannot take them now.
    pub(super) async fn append(&mut self, work: &Work, into: &StreamKey) -> Result<bool, EngineError> {
        let Some(first) = self.batches.first() else { return Ok(true) };
        let rows = concat_batches(&first.schema(), &self.batches).map_err(RunError::from)?;
        let begin = self.next;
        let there = work.log.last_producer(self.producer).map_or(0, |last| last.seq);
        let end = begin + self.rows;
        self.next = there.clamp(begin, end);
        while self.next < end {
            let count = (end - self.next).min(APPEND_ROWS);
            let part = rows.slice((self.next - begin) as usize, count as usize);
            let producer = Producer { id: self.producer, seq: self.next };
            let records = self.records_of(self.next + count);
            let lineage =
                Lineage { pipeline: &work.entry.name, version: work.entry.version, records: &records };
            match work.streams.append(into, part, producer, lineage).await {
                Ok(()) => self.next += count,
                Err(error) if error.is_passing() => {
                    work.tell_of_waiting(&error);
                    self.rows = end - self.next;
                    self.batches = vec![rows.slice((self.next - begin) as usize, self.rows as usize)];
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        *self = Waiting::new(self.producer, end);
        Ok(true)
    }

    /// The records of the rows from the next one to number `end`, counted from there.
    fn records_of(&self, end: u64) -> Vec<(usize, Offset)> {
        let after = self.records.partition_point(|(first, _)| *first <= self.next);
        let until = self.records.partition_point(|(first, _)| *first < end);
        let of = |(first, record): &(u64, Offset)| (first.saturating_sub(self.next) as usize, *record);
        self.records[after.saturating_sub(1)..until].iter().map(of).collect()
    }
}
