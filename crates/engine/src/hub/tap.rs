//! Looking into a pipeline that runs.

use std::sync::Arc;

use parking_lot::Mutex;
use springhouse_model::{StreamName, TenantId};

use super::preview::STEP_ROWS_MAX;
use super::{Engine, EngineError};
use crate::Plan;
use crate::probe::{Probe, SeenStep};

/// An open look into a pipeline. It runs on as it would have, and forgets who has looked when this is dropped.
pub struct Tap {
    plan: Arc<Plan>,
    probe: Arc<Mutex<Probe>>,
}

impl Tap {
    /// What each step has handed on since the tap was opened.
    pub fn seen(&self) -> Vec<SeenStep> {
        let seen = self.probe.lock().clone();
        seen.into_steps(&self.plan)
    }
}

impl Engine {
    /// Opens a pipeline or an alert for looking: each step counts its rows and keeps the last `limit` of them.
    pub async fn tap(&self, tenant: &TenantId, name: &StreamName, limit: usize) -> Result<Tap, EngineError> {
        let (shared, entry) = (Arc::clone(&self.shared), self.shared.known(tenant, name).await?);
        let gauges = shared.roster.running(entry.id);
        let gauges = gauges.ok_or_else(|| EngineError::NotRunning { name: name.clone() })?;
        let plan = self.shared.threads.run(async move { shared.planned(&entry).await }).await??;
        let probe = Arc::new(Mutex::new(Probe::new(&plan, limit.min(STEP_ROWS_MAX))));
        gauges.look(&probe);
        Ok(Tap { plan, probe })
    }
}
