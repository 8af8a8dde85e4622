//! What becomes of firings whose alert does not know them any more.
//!
//! Which episodes are open is the state of an operator. Where that state is given up, no row will ever end them, since nothing in the data
//! does: they are over from that record of the log on, with a note that says why. The stream of the alert gets no
//! row, because its rows follow from the data alone.

use springhouse_meta::{PipelineEntry, PipelineKind};

use super::{EngineError, Shared};

impl Shared {
    /// Ends what an alert that does not run has fired and not resolved; returns how many firings that were.
    pub(super) async fn end_episodes(&self, entry: &PipelineEntry, why: &str) -> Result<u64, EngineError> {
        match entry.kind {
            PipelineKind::Pipeline => Ok(0),
            PipelineKind::Alert { .. } => {
                let end = self.log.end().0;
                Ok(self.meta.end_alerts(&entry.tenant, &entry.name, end, why).await?)
            }
        }
    }
}
