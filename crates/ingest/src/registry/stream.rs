//! A stream as the door sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use springhouse_meta::StreamEntry;
use springhouse_model::StreamKey;
use springhouse_schema::Schema;

/// Shared by all shards; replaced never, changed in place.
#[derive(Debug)]
pub struct Stream {
    pub id: u32,
    pub key: StreamKey,
    current: RwLock<(Arc<StreamEntry>, Arc<Schema>)>,
    /// Moves with every change, so that a shard sees by one load that its decoder is still right.
    revision: AtomicU64,
}

impl Stream {
    pub(super) fn new(entry: StreamEntry) -> Stream {
        let schema = Arc::new(entry.schema.clone());
        Stream {
            id: entry.id,
            key: entry.key.clone(),
            current: RwLock::new((Arc::new(entry), schema)),
            revision: AtomicU64::new(0),
        }
    }

    pub(super) fn update(&self, entry: StreamEntry) {
        let schema = Arc::new(entry.schema.clone());
        *self.current.write() = (Arc::new(entry), schema);
        self.revision.fetch_add(1, Ordering::Release);
    }

    pub fn entry(&self) -> Arc<StreamEntry> {
        Arc::clone(&self.current.read().0)
    }

    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.current.read().1)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}
