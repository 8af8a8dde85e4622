//! The registry of ingest as the lake's catalog.

use std::sync::Arc;

use springhouse_ingest::Ingest;
use springhouse_lake::Catalog;
use springhouse_meta::StreamEntry;
use springhouse_model::{StreamKey, TenantId};

pub struct RegistryCatalog(pub Ingest);

impl Catalog for RegistryCatalog {
    fn stream(&self, id: u32) -> Option<Arc<StreamEntry>> {
        self.0.registry().by_id(id)
    }

    fn streams_of(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.0.registry().streams(tenant)
    }

    fn find(&self, key: &StreamKey) -> Option<Arc<StreamEntry>> {
        self.0.registry().entry(key)
    }

    fn all(&self) -> Vec<Arc<StreamEntry>> {
        self.0.registry().entries(None)
    }
}
