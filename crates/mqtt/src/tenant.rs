//! What belongs to one tenant: sessions, subscriptions, retained messages. Tenants share nothing, so that no topic and no
//! client id can cross.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use springhouse_model::TenantId;

use crate::event::SessionId;
use crate::retained::Retained;
use crate::session::Session;
use crate::topic::{Filter, parse_filter};
use crate::tree::{Matches, Subscriber, Tree};

pub struct Tenant {
    pub id: TenantId,
    /// Sessions by key. Locked before any session's own lock, never after.
    pub sessions: Mutex<BTreeMap<Box<str>, Arc<Session>>>,
    pub retained: RwLock<Retained>,
    tree: RwLock<Tree>,
    /// Grows with every change of the tree, so that publishers know when what they looked up is stale.
    version: AtomicU64,
}

impl Tenant {
    pub fn new(id: TenantId) -> Tenant {
        Tenant {
            id,
            sessions: Mutex::default(),
            retained: RwLock::default(),
            tree: RwLock::default(),
            version: AtomicU64::new(1),
        }
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn matching(&self, topic: &str, publisher: SessionId) -> Matches {
        self.tree.read().matching(topic, publisher)
    }

    pub fn subscribe(&self, filter: Filter<'_>, subscriber: Subscriber) {
        let mut tree = self.tree.write();
        tree.insert(filter, subscriber);
        self.version.fetch_add(1, Ordering::Release);
    }

    pub fn unsubscribe<'a>(&self, filters: impl Iterator<Item = &'a str>, session: SessionId) {
        let mut tree = self.tree.write();
        for filter in filters.filter_map(|filter| parse_filter(filter).ok()) {
            tree.remove(filter, session);
        }
        self.version.fetch_add(1, Ordering::Release);
    }
}
