//! Rows that a task could not deal with: into quarantine, numbered, each once.

use springhouse_ingest::PutAside;
use springhouse_log::{Producer, Record};
use springhouse_model::Timestamp;

use super::Task;
use crate::Broken;
use crate::hub::EngineError;

/// Rows of one append.
const APPEND_ROWS: usize = 1_024;

/// The producer of the log that counts the rows that a pipeline could not deal with. Far from those of rows and late rows, which
/// are two for each pipeline.
pub(in crate::hub) fn broken_producer(pipeline: u64) -> u64 {
    1 << 63 | pipeline
}

impl Task {
    /// What a person needs who looks for the reason: what was wrong, and with what the pipeline was at work.
    pub(super) fn put_aside(&self, broken: &Broken, record: &Record) -> PutAside {
        let entry = &self.work.entry;
        let source = broken.source.and_then(|(source, _)| self.work.sources.get(source));
        let from = match source {
            Some(source) => format!("record {} of `{}`", record.offset.0, source.key.name),
            None => {
                let time = Timestamp(broken.time);
                format!("what it has made for {time}, up to record {}", record.offset.0)
            }
        };
        PutAside {
            into: entry.into.clone(),
            detail: format!("{}; pipeline `{}`, version {}, {from}", broken.why, entry.name, entry.version),
            row: broken.row.clone(),
        }
    }

    /// Appends what waits for the quarantine; some of it waits on if the log cannot take it.
    pub(super) async fn try_put_aside(&mut self) -> Result<(), EngineError> {
        let (tenant, producer) = (self.work.entry.tenant.clone(), broken_producer(self.work.entry.id));
        let there = self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let known = there.saturating_sub(self.next_broken).min(self.broken.len() as u64);
        self.broken.drain(..known as usize);
        self.next_broken += known;
        while !self.broken.is_empty() {
            let count = self.broken.len().min(APPEND_ROWS);
            let next = Producer { id: producer, seq: self.next_broken };
            match self.work.streams.put_aside(&tenant, &self.broken[..count], next).await {
                Ok(()) => {
                    self.broken.drain(..count);
                    self.next_broken += count as u64;
                }
                Err(error) if error.is_passing() => {
                    self.work.tell_of_waiting(&error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
