//! The registry of ingest and the tables of the engine as the lake's catalog.

use std::sync::{Arc, OnceLock};

use springhouse_engine::{FunctionSet, Functions, Tables};
use springhouse_ingest::Ingest;
use springhouse_lake::Catalog;
use springhouse_meta::StreamEntry;
use springhouse_model::{StreamKey, TenantId};

pub struct RegistryCatalog {
    pub ingest: Ingest,
    /// What the engine knows, when it is open, which is before anybody can ask.
    pub known: Arc<OnceLock<(Tables, Functions)>>,
}

impl Catalog for RegistryCatalog {
    fn stream(&self, id: u32) -> Option<Arc<StreamEntry>> {
        self.ingest.registry().by_id(id)
    }

    fn streams_of(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.ingest.registry().streams(tenant)
    }

    fn find(&self, key: &StreamKey) -> Option<Arc<StreamEntry>> {
        self.ingest.registry().entry(key)
    }

    fn all(&self) -> Vec<Arc<StreamEntry>> {
        self.ingest.registry().entries(None)
    }

    fn tables(&self) -> Option<Tables> {
        self.known.get().map(|(tables, _)| tables.clone())
    }

    fn functions(&self, tenant: &TenantId) -> FunctionSet {
        self.known.get().map(|(_, functions)| functions.set(tenant)).unwrap_or_default()
    }
}
