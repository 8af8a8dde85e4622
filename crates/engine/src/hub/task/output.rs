//! What a task writes: rows and late rows, numbered, each once.

use std::sync::Arc;

use springhouse_log::Reader;
use springhouse_model::StreamKey;

use super::{READ_BYTES, RETRY, Rows, Snapshot, Task, broken_producer, late_producer, row_producer};
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
        let entry = &self.work.entry;
        let into = StreamKey::new(entry.tenant.clone(), entry.into.clone());
        if !self.rows.append(&self.work, &into).await? {
            return Ok(false);
        }
        if !self.late.is_empty() && !self.late.append(&self.work, &late_key(entry)?).await? {
            return Ok(false);
        }
        self.try_put_aside().await?;
        Ok(!self.has_rows())
    }

    /// Goes on until the log holds no row that is not made yet, and no further; for one that does not run. What has
    /// stopped in the middle has written rows that its last snapshot does not know.
    pub(crate) async fn settle(mut self: Box<Task>) -> Result<Snapshot, EngineError> {
        let written = |producer| self.work.log.last_producer(producer).map_or(0, |last| last.seq);
        let id = self.work.entry.id;
        let (rows, late) = (written(row_producer(id)), written(late_producer(id)));
        let broken = written(broken_producer(id));
        let is_behind =
            |task: &Task| task.rows.next() < rows || task.late.next() < late || task.next_broken < broken;
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
