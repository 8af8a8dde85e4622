//! What a pipeline makes of a record of the log: live, when rows are read again, and in a preview.

use std::sync::Arc;

use springhouse_log::Kind;
use springhouse_meta::StreamEntry;

use super::task::Rows;
use super::{EngineError, silence};
use crate::{Emitted, Pipeline};

/// What came of a record.
pub(super) struct Taken {
    /// Which of the plan's sources it is of.
    pub(super) source: usize,
    /// Rows that it had: none, when it says that time has passed.
    pub(super) rows: u64,
    pub(super) emitted: Emitted,
}

/// Gives a record to a pipeline; `None` when it says nothing to it. Versions of tables are not its concern.
pub(super) fn take(
    pipeline: &mut Pipeline,
    sources: &[Arc<StreamEntry>],
    rows: &mut Rows<'_>,
) -> Result<Option<Taken>, EngineError> {
    let record = rows.record();
    let Some(source) = sources.iter().position(|source| source.id == record.stream) else { return Ok(None) };
    match record.kind {
        Kind::Readings => {
            if let Some(interest) = pipeline.interest(source)
                && let Some(summary) = rows.summary()
                && !summary.devices.shares_one_with(interest)
            {
                let emitted = pipeline.pass_over(source, summary.rows, summary.latest)?;
                return Ok(Some(Taken { source, rows: summary.rows as u64, emitted }));
            }
            let plan = Arc::clone(pipeline.plan());
            let batch = rows.read_as(&sources[source], &plan.sources[source].schema)?;
            let emitted = pipeline.push(source, &batch)?;
            Ok(Some(Taken { source, rows: batch.num_rows() as u64, emitted }))
        }
        Kind::Marks => match silence::marked(&record.payload) {
            Some(event_time) => {
                let emitted = pipeline.advance_to(source, event_time)?;
                Ok(Some(Taken { source, rows: 0, emitted }))
            }
            None => Ok(None),
        },
        Kind::Sessions | Kind::Tables => Ok(None),
    }
}
