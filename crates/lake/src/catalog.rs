//! Which streams and tables there are, as the lake needs to know it. In a hub the registry of ingest answers.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use springhouse_engine::{FunctionSet, Tables};
use springhouse_meta::{Meta, StreamEntry};
use springhouse_model::{StreamKey, TenantId};

use crate::LakeError;

/// Looked up while rows flow and while queries are planned, hence without waiting. A stream must be known here before
/// its first record is appended: the lake drops records of streams that it cannot name, as they were dropped.
pub trait Catalog: Send + Sync {
    fn stream(&self, id: u32) -> Option<Arc<StreamEntry>>;
    fn streams_of(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>>;
    fn find(&self, key: &StreamKey) -> Option<Arc<StreamEntry>> {
        self.streams_of(&key.tenant).into_iter().find(|entry| entry.key == *key)
    }
    fn all(&self) -> Vec<Arc<StreamEntry>>;
    /// The reference tables, where there are some.
    fn tables(&self) -> Option<Tables> {
        None
    }
    /// The functions that a tenant's queries may call.
    fn functions(&self, _tenant: &TenantId) -> FunctionSet {
        FunctionSet::default()
    }
}

/// A catalog read from meta, for tools that look at a data directory without a hub.
#[derive(Default)]
pub struct LoadedCatalog {
    streams: RwLock<HashMap<u32, Arc<StreamEntry>>>,
}

impl LoadedCatalog {
    pub async fn load(meta: &dyn Meta) -> Result<LoadedCatalog, LakeError> {
        let catalog = LoadedCatalog::default();
        catalog.refresh(meta).await?;
        Ok(catalog)
    }

    /// Reads again what streams there are.
    pub async fn refresh(&self, meta: &dyn Meta) -> Result<(), LakeError> {
        let streams = meta.streams(None).await.map_err(LakeError::meta("list streams"))?;
        *self.streams.write() = streams.into_iter().map(|entry| (entry.id, Arc::new(entry))).collect();
        Ok(())
    }
}

impl Catalog for LoadedCatalog {
    fn stream(&self, id: u32) -> Option<Arc<StreamEntry>> {
        self.streams.read().get(&id).cloned()
    }

    fn streams_of(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.streams.read().values().filter(|entry| entry.key.tenant == *tenant).cloned().collect()
    }

    fn all(&self) -> Vec<Arc<StreamEntry>> {
        self.streams.read().values().cloned().collect()
    }
}

/// Streams of the hub itself, such as quarantined messages on their way to meta, begin with `_`. They are not
/// history: keeping them here would outlive a purge.
pub(crate) fn is_internal(entry: &StreamEntry) -> bool {
    entry.key.name.as_str().starts_with('_')
}
