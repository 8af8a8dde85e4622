//! The life of a task: with the others as long as it keeps up with them, alone otherwise.
//!
//! ```text
//!  start ─▶ rides with the others ──told to stop──▶ snapshot, end
//!             ▲              │ behind, slow, or much to write
//!             └─ caught up ─ alone
//! ```

use std::time::Instant;

use springhouse_log::{PACE, Reader};

use super::{READ_BYTES, Rows, Task};
use crate::hub::EngineError;
use crate::hub::scan::{Ride, Scan};

/// So close to the end of the log the others will wait for it.
const NEAR_RECORDS: u64 = 32;

/// How reading alone has ended.
enum Ended {
    CaughtUp,
    Stopped,
    /// Told to stop while rows could not be written.
    Undelivered,
}

impl Ended {
    fn after_delivery(is_delivered: bool) -> Ended {
        if is_delivered { Ended::Stopped } else { Ended::Undelivered }
    }
}

impl Task {
    /// Works until it is told to stop, then leaves a snapshot behind.
    pub(crate) async fn run(self: Box<Self>, scan: Scan) -> Result<(), EngineError> {
        let mut task = self;
        loop {
            let (back, ride) = scan.ride(task).await?;
            task = back;
            let ended = match ride {
                Ride::Alone => task.catch_up().await,
                Ride::Stopped => task.deliver().await.map(Ended::after_delivery),
                Ride::Failed(error) => Err(error),
            };
            match ended {
                Ok(Ended::CaughtUp) => continue,
                Ok(Ended::Stopped) if task.has_moved() => task.snapshot().await,
                // What could not be written comes again from the last snapshot.
                Ok(Ended::Stopped | Ended::Undelivered) | Err(_) => task.is_written().await,
            }
            return ended.map(drop);
        }
    }

    /// Reads on its own until it is near the end of the log.
    async fn catch_up(&mut self) -> Result<Ended, EngineError> {
        let mut reader = Reader::new(self.work.log.clone(), self.position).paced(PACE);
        loop {
            // Rows that wait to be written are not in it.
            if self.is_snapshot_due() && !self.has_rows() {
                self.snapshot().await;
            }
            let records = reader.next_ready(READ_BYTES).await?;
            let seen_at = records.last().map(|record| record.appended_at);
            // One by one, and each given back before the next: what is decoded can be far larger than what was read.
            for record in records {
                if self.is_stopped() {
                    break;
                }
                self.take(&mut Rows::of(&record))?;
                tokio::task::yield_now().await;
            }
            let ended = Ended::after_delivery(self.deliver().await?);
            self.tell(seen_at, Instant::now());
            if self.is_stopped() || matches!(ended, Ended::Undelivered) {
                return Ok(ended);
            }
            if self.work.log.end().0.saturating_sub(self.position.0) <= NEAR_RECORDS {
                return Ok(Ended::CaughtUp);
            }
        }
    }
}
