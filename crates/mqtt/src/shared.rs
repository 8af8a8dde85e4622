//! What all connections of a gateway share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use springhouse_log::Log;
use springhouse_model::{Clock, TenantId};
use tokio::sync::watch;

use crate::door::{Door, DoorError};
use crate::event::{Entry, SessionId};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::tenant::Tenant;
use crate::timers::Timers;

/// Payload of one journal record, give or take an entry.
const JOURNAL_BYTES: usize = 1024 * 1024;

pub struct Shared {
    pub door: Arc<dyn Door>,
    pub log: Arc<dyn Log>,
    pub clock: Arc<dyn Clock>,
    pub options: Options,
    pub metrics: Metrics,
    pub journal: Journal,
    pub timers: Timers,
    pub next_session: AtomicU64,
    /// True once the gateway shuts down.
    pub stopping: watch::Sender<bool>,
    pub tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    connections: AtomicUsize,
    by_peer: Mutex<HashMap<IpAddr, usize>>,
}

impl Shared {
    pub fn new(
        door: Arc<dyn Door>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        options: Options,
        next_number: u64,
        next_session: SessionId,
    ) -> Shared {
        Shared {
            door,
            log,
            clock,
            options,
            metrics: Metrics::new(),
            journal: Journal::starting_at(next_number),
            timers: Timers::default(),
            next_session: AtomicU64::new(next_session),
            stopping: watch::Sender::new(false),
            tenants: RwLock::default(),
            connections: AtomicUsize::new(0),
            by_peer: Mutex::default(),
        }
    }

    pub fn tenant(&self, id: &TenantId) -> Arc<Tenant> {
        if let Some(tenant) = self.tenants.read().get(id) {
            return Arc::clone(tenant);
        }
        let mut tenants = self.tenants.write();
        Arc::clone(tenants.entry(id.clone()).or_insert_with(|| Arc::new(Tenant::new(id.clone()))))
    }

    /// Journals events whose changes are made already; returns their commit, zero when there is none.
    pub async fn write(&self, entries: &[Entry]) -> Result<u64, DoorError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let commit = self.door.journal(encode_in_parts(entries)).await?;
        self.journal.committed(commit);
        Ok(commit)
    }

    /// Counts a connection, or refuses it when there are too many.
    pub fn admit_peer(self: &Arc<Self>, peer: IpAddr) -> Option<Admission> {
        let mut by_peer = self.by_peer.lock();
        let count = by_peer.entry(peer).or_default();
        let total = self.connections.load(Ordering::Relaxed);
        if *count >= self.options.connections_per_peer_max || total >= self.options.connections_max {
            if *count == 0 {
                by_peer.remove(&peer);
            }
            self.metrics.refused("too_many_connections");
            return None;
        }
        *count += 1;
        self.connections.store(total + 1, Ordering::Relaxed);
        self.metrics.connections.set((total + 1) as f64);
        Some(Admission { shared: Arc::clone(self), peer })
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// One payload: entries that have to be durable together, or not at all.
pub fn encode(entries: &[Entry]) -> Bytes {
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| entry.encode(&mut bytes));
    Bytes::from(bytes)
}

/// Entries that stand alone, in payloads of about [`JOURNAL_BYTES`]: someone who subscribes to many retained messages
/// makes more of them than one record of the log takes.
pub fn encode_in_parts(entries: &[Entry]) -> Vec<Bytes> {
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    for entry in entries {
        entry.encode(&mut part);
        if part.len() >= JOURNAL_BYTES {
            parts.push(Bytes::from(std::mem::take(&mut part)));
        }
    }
    if !part.is_empty() {
        parts.push(Bytes::from(part));
    }
    parts
}

/// The place of one connection; given back when dropped.
pub struct Admission {
    shared: Arc<Shared>,
    peer: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_peer = self.shared.by_peer.lock();
        if let Some(count) = by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                by_peer.remove(&self.peer);
            }
        }
        let total = self.shared.connections.fetch_sub(1, Ordering::Relaxed) - 1;
        self.shared.metrics.connections.set(total as f64);
    }
}
