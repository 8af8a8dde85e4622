//! How much memory open windows may take: those of one pipeline, and those of all pipelines of a tenant.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use springhouse_model::TenantId;

use super::EngineError;

/// The budgets of all tenants.
pub(crate) struct Budgets {
    pipeline_bytes_max: usize,
    tenant_bytes_max: usize,
    used: Mutex<HashMap<TenantId, Arc<Mutex<Used>>>>,
}

#[derive(Default)]
struct Used {
    bytes: usize,
    pipelines: usize,
}

impl Budgets {
    pub(crate) fn new(pipeline_bytes_max: usize, tenant_bytes_max: usize) -> Budgets {
        Budgets { pipeline_bytes_max, tenant_bytes_max, used: Mutex::default() }
    }

    /// The share of a pipeline that begins.
    pub(crate) fn share(&self, tenant: &TenantId) -> Share {
        let used = Arc::clone(self.used.lock().entry(tenant.clone()).or_default());
        used.lock().pipelines += 1;
        Share {
            pipeline_bytes_max: self.pipeline_bytes_max,
            tenant_bytes_max: self.tenant_bytes_max,
            used,
            bytes: 0,
        }
    }
}

/// What one pipeline holds; given back when it ends.
pub(crate) struct Share {
    pipeline_bytes_max: usize,
    tenant_bytes_max: usize,
    used: Arc<Mutex<Used>>,
    bytes: usize,
}

impl Share {
    /// What was noted last.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes what the pipeline holds now. When all of the tenant hold too much together, it is not one of those with less than
    /// an equal part that has to go.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), EngineError> {
        let mut used = self.used.lock();
        used.bytes = (used.bytes - self.bytes).saturating_add(bytes);
        self.bytes = bytes;
        let (bytes_max, all, all_max) = (self.pipeline_bytes_max, used.bytes, self.tenant_bytes_max);
        if bytes > bytes_max {
            return Err(EngineError::StateTooLarge { bytes, bytes_max });
        }
        match all > all_max && bytes > all_max / used.pipelines.max(1) {
            true => Err(EngineError::StatesTooLarge { bytes, all, all_max }),
            false => Ok(()),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut used = self.used.lock();
        used.bytes -= self.bytes;
        used.pipelines -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::main()
    }

    #[test]
    fn a_pipeline_has_a_bound_of_its_own() {
        let budgets = Budgets::new(100, 1_000);
        let mut share = budgets.share(&tenant());
        share.hold(100).unwrap();
        let error = share.hold(101).unwrap_err();
        assert!(matches!(error, EngineError::StateTooLarge { bytes: 101, bytes_max: 100 }), "{error}");
        share.hold(50).unwrap();
    }

    #[test]
    fn together_those_go_first_that_hold_more_than_their_part() {
        let budgets = Budgets::new(100, 120);
        let (mut large, mut small) = (budgets.share(&tenant()), budgets.share(&tenant()));
        large.hold(90).unwrap();
        // Together 130: the small one has less than 60.
        small.hold(40).unwrap();
        assert!(matches!(large.hold(90).unwrap_err(), EngineError::StatesTooLarge { all: 130, .. }));
        drop(large);
        small.hold(90).unwrap();
        // Another tenant's use does not count.
        let mut other = budgets.share(&"other".parse().unwrap());
        other.hold(90).unwrap();
        small.hold(91).unwrap();
    }
}
