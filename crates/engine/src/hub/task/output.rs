//! What a task writes: rows and late rows, numbered, each once.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Producer, Reader};
use springhouse_model::StreamKey;

use super::{APPEND_ROWS, READ_BYTES, RETRY, Rows, Snapshot, Task, late_producer, row_producer};
use crate::RunError;
use crate::hub::{EngineError, late_key};

impl Task {
    pub(in crate::hub) fn has_rows(&self) -> bool {
        !self.rows.is_empty() || !self.late.is_empty()
    }

    /// Appends what waits. False when it is told to stop before it could.
    pub(in crate::hub) async fn deliver(&mut self) -> Result<bool, EngineError> {
        if !self.has_rows() {
            return Ok(true);
        }
        let tenant = self.work.entry.tenant.clone();
        let into = StreamKey::new(tenant, self.work.entry.into.clone());
        let late_into = late_key(&self.work.entry)?;
        let rows = std::mem::take(&mut self.rows);
        let late = std::mem::take(&mut self.late);
        let id = self.work.entry.id;
        let Some(next) = self.append(&into, rows, row_producer(id), self.next_row).await? else {
            return Ok(false);
        };
        self.next_row = next;
        let Some(next) = self.append(&late_into, late, late_producer(id), self.next_late).await? else {
            return Ok(false);
        };
        self.next_late = next;
        Ok(true)
    }

    /// Appends batches as rows from number `next` on and returns the number after them; `None` when told to stop.
    async fn append(
        &mut self,
        into: &StreamKey,
        batches: Vec<RecordBatch>,
        producer: u64,
        mut next: u64,
    ) -> Result<Option<u64>, EngineError> {
        let Some(first) = batches.first() else { return Ok(Some(next)) };
        let mut stop = self.work.stop.clone();
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
                    tracing::warn!(
                        pipeline = self.work.entry.name,
                        error = &error as &dyn std::error::Error,
                        "rows wait for the log"
                    );
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return Ok(None),
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(next))
    }

    /// Goes on until the log holds no row that is not made yet, and no further; for one that does not run. What has
    /// stopped in the middle has written rows that its last snapshot does not know.
    pub(crate) async fn settle(mut self: Box<Task>) -> Result<Snapshot, EngineError> {
        let written = |producer| self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let id = self.work.entry.id;
        let (rows, late) = (written(row_producer(id)), written(late_producer(id)));
        let mut reader = Reader::new(Arc::clone(&self.work.log), self.position);
        while self.next_row < rows || self.next_late < late {
            let records = reader.next_ready(READ_BYTES).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                self.take(&mut Rows::of(&record))?;
                if !self.deliver().await? {
                    return Err(EngineError::Unsettled);
                }
                if self.next_row >= rows && self.next_late >= late {
                    break;
                }
            }
        }
        self.state()
    }
}
