//! Operators of a successor that begin with nothing are brought to where their predecessors were, from the log.
//!
//! ```text
//!        as far as windows, frames and joins reach      what waits
//!  log ──●───────────────────────────────────────●──────────●─▶ the successor goes on
//!        │ from here                 given until here       its predecessor has stopped
//! ```
//! The successor runs over these rows as it would have run at the time, and what it gives up to the moment until which its
//! predecessor has given everything is thrown away. The states of its operators are what is wanted. They are as exact as the
//! log reaches back; without its rows, first windows would be parts, and rows that waited for the watermark would be missing.

use std::sync::Arc;

use springhouse_log::{Kind, LogError, Offset, Reader, Record};
use springhouse_meta::StreamEntry;
use springhouse_model::TenantId;

use super::snapshot::Header;
use super::task::{READ_BYTES, Rows};
use super::{EngineError, Shared, Tables, feed};
use crate::{Pipeline, Plan};

/// No more of the log than this is read again: meanwhile rows wait.
const BYTES_MAX: u64 = 256 << 20;

impl Shared {
    /// A pipeline that has read what is needed again. Its predecessor, which has left at `left`, has given all that belongs
    /// before `told`.
    pub(super) async fn read_again(
        &self,
        tenant: &TenantId,
        plan: &Arc<Plan>,
        left: &Header,
        told: i64,
    ) -> Result<Pipeline, EngineError> {
        let mut pipeline = plan.start();
        pipeline.hold_time_at(told);
        if let Some(from) = self.place_of(left, told, plan) {
            let sources = self.sources(tenant, plan)?;
            self.tables.bring(&mut pipeline, from)?;
            let mut reader = Reader::new(Arc::clone(&self.log), from);
            while reader.position().0 < left.offset {
                let records = match reader.next_ready(READ_BYTES).await {
                    // Retention has gone on meanwhile.
                    Err(LogError::Trimmed { head }) => {
                        reader.seek(head);
                        continue;
                    }
                    records => records?,
                };
                if records.is_empty() {
                    break;
                }
                for record in records.iter().take_while(|record| record.offset.0 < left.offset) {
                    take(&mut pipeline, &sources, &self.tables, record)?;
                }
                let (bytes, bytes_max) = (pipeline.state_bytes(), self.options.pipeline_bytes_max);
                if bytes > bytes_max {
                    return Err(EngineError::StateTooLarge { bytes, bytes_max });
                }
                tokio::task::yield_now().await;
            }
        }
        // A successor that is more patient, or has not read far enough, would still have some of it.
        pipeline.tell(told)?;
        Ok(pipeline)
    }

    /// Where in the log the rows begin that the plan can still use at the time `told`; if that is too far back, the rows that
    /// wait.
    fn place_of(&self, left: &Header, told: i64, plan: &Plan) -> Option<Offset> {
        let stats = self.log.stats();
        let records = stats.end.0.saturating_sub(stats.head.0).max(1);
        let is_near = |place: &u64| {
            let share = left.offset.saturating_sub(*place) as f64 / records as f64;
            share * stats.bytes as f64 <= BYTES_MAX as f64
        };
        let of = |time: i64| left.trail.before(time).or(left.trail.oldest());
        let place = of(told.saturating_sub(plan.patience_us())).filter(is_near);
        let place = place.or_else(|| of(told).filter(is_near))?;
        Some(Offset(place.max(stats.head.0)))
    }
}

/// As live, but for what comes out.
fn take(
    pipeline: &mut Pipeline,
    sources: &[Arc<StreamEntry>],
    tables: &Tables,
    record: &Record,
) -> Result<(), EngineError> {
    if record.kind == Kind::Tables {
        return tables.announced(pipeline, record);
    }
    feed::take(pipeline, sources, &mut Rows::of(record))?;
    Ok(())
}
