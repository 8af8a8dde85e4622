//! Hands rows on in the order of their event time.
//!
//! What looks from one row to those before it (`OVER`, patterns, joins) would otherwise depend on the order in which rows
//! happened to arrive. A row waits until the watermark has passed it; one that comes behind the watermark is late. Rows of
//! one time stay in the order of their arrival, and come out together.

use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::SchemaRef;

use super::waiting::{InOrder, Waiting};
use super::{Chunk, Operator, Outbox, Side};
use crate::{RunError, ipc};

pub(super) struct Order {
    waiting: Waiting,
    /// How far a row may be behind the watermark that is told: a match, whose end is known later.
    behind_us: i64,
}

impl Order {
    pub fn new(schema: SchemaRef, behind_us: i64) -> Order {
        Order { waiting: Waiting::new(schema), behind_us }
    }
}

impl Operator for Order {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        self.waiting.take(chunk, out)
    }

    fn on_watermark(&mut self, watermark: i64, out: &mut Outbox) -> Result<(), RunError> {
        if let Some(InOrder { batch, times }) =
            self.waiting.release(watermark.saturating_sub(self.behind_us))?
        {
            out.chunks.push(Chunk { batch, times: TimestampMicrosecondArray::from(times), lineage: None });
        }
        Ok(())
    }

    fn next_close(&self) -> Option<i64> {
        Some(self.waiting.next_release()?.saturating_add(self.behind_us))
    }

    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, RunError> {
        Ok(Some(ipc::write_numbered(&[(0, self.waiting.state()?)])?))
    }

    fn restore(&mut self, state: &[u8], _watermark: i64) -> Result<(), RunError> {
        let parts = ipc::read_numbered(state)?;
        let [(0, rows)] = parts.as_slice() else {
            return Err(RunError::State { what: "it is not that of rows that wait" });
        };
        self.waiting.restore(rows)
    }

    fn state_bytes(&self) -> usize {
        self.waiting.bytes()
    }
}
