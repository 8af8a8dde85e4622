//! What a task writes: rows and late rows, numbered, each once.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Producer, Reader};
use springhouse_model::StreamKey;

use super::{APPEND_ROWS, READ_BYTES, RETRY, Rows, Snapshot, Task};
use super::{broken_producer, late_producer, row_producer};
use crate::RunError;
use crate::hub::{EngineError, late_key};

impl Task {
    pub(in crate::hub) fn has_rows(&self) -> bool {
        !(self.rows.is_empty() && self.late.is_empty() && self.broken.is_empty())
    }

    /// Appends what waits, as often as it takes. False when it is told to stop before it could.
    pub(super) async fn deliver(&mut self) -> Result<bool, EngineError> {
        let mut stop = self.work.stop.clone();
        while !self.try_deliver().await? {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(false),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        Ok(true)
    }

    /// Appends what waits. False when some of it has to wait on, because the log cannot take it now.
    pub(in crate::hub) async fn try_deliver(&mut self) -> Result<bool, EngineError> {
        let (tenant, id) = (self.work.entry.tenant.clone(), self.work.entry.id);
        let into = StreamKey::new(tenant, self.work.entry.into.clone());
        let rows = std::mem::take(&mut self.rows);
        (self.next_row, self.rows) = self.append(&into, rows, row_producer(id), self.next_row).await?;
        if self.rows.is_empty() && !self.late.is_empty() {
            let late_into = late_key(&self.work.entry)?;
            let late = std::mem::take(&mut self.late);
            (self.next_late, self.late) =
                self.append(&late_into, late, late_producer(id), self.next_late).await?;
        }
        if self.rows.is_empty() && self.late.is_empty() {
            self.try_put_aside().await?;
        }
        Ok(!self.has_rows())
    }

    /// Appends batches as rows from number `next` on; returns the number after those that are written, and the others.
    async fn append(
        &mut self,
        into: &StreamKey,
        batches: Vec<RecordBatch>,
        producer: u64,
        mut next: u64,
    ) -> Result<(u64, Vec<RecordBatch>), EngineError> {
        let Some(first) = batches.first() else { return Ok((next, batches)) };
        let rows = concat_batches(&first.schema(), &batches).map_err(RunError::from)?;
        let there = self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let end = next + rows.num_rows() as u64;
        let mut from = there.clamp(next, end) - next;
        next += from;
        while next < end {
            let count = (end - next).min(APPEND_ROWS as u64);
            let part = rows.slice(from as usize, count as usize);
            match self.work.streams.append(into, part, Producer { id: producer, seq: next }).await {
                Ok(()) => {
                    from += count;
                    next += count;
                }
                Err(error) if error.is_passing() => {
                    self.tell_of_waiting(&error);
                    return Ok((next, vec![rows.slice(from as usize, (end - next) as usize)]));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((next, Vec::new()))
    }

    /// Goes on until the log holds no row that is not made yet, and no further; for one that does not run. What has
    /// stopped in the middle has written rows that its last snapshot does not know.
    pub(crate) async fn settle(mut self: Box<Task>) -> Result<Snapshot, EngineError> {
        let written = |producer| self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let id = self.work.entry.id;
        let (rows, late) = (written(row_producer(id)), written(late_producer(id)));
        let broken = written(broken_producer(id));
        let is_behind =
            |task: &Task| task.next_row < rows || task.next_late < late || task.next_broken < broken;
        let mut reader = Reader::new(Arc::clone(&self.work.log), self.position);
        while is_behind(&self) {
            let records = reader.next_ready(READ_BYTES).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                self.take(&mut Rows::of(&record))?;
                if !self.deliver().await? {
                    return Err(EngineError::Unsettled);
                }
                if !is_behind(&self) {
                    break;
                }
            }
        }
        self.state()
    }
}
