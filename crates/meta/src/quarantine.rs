//! Messages that did not fit, kept whole with the reason until somebody replays or purges them.

use std::fmt;

use async_trait::async_trait;
use springhouse_model::{DeviceId, SiteId, StreamName, TenantId, Timestamp};

use crate::{Commit, Result};

#[derive(Clone, PartialEq, Eq)]
pub struct QuarantinedMessage {
    /// Given by ingest; the same message read twice from the log is one row.
    pub id: String,
    pub tenant: TenantId,
    pub site: Option<SiteId>,
    /// `None` when the topic names no stream that could exist.
    pub stream: Option<StreamName>,
    pub device: Option<DeviceId>,
    pub received: Timestamp,
    /// Code of the reason, in snake_case.
    pub reason: String,
    /// What exactly did not fit, for a person.
    pub detail: String,
    pub payload: Vec<u8>,
    pub topic: String,
    pub replayed_at: Option<Timestamp>,
}

/// Payloads are personal data and stay out of logs.
impl fmt::Debug for QuarantinedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantinedMessage")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("stream", &self.stream)
            .field("reason", &self.reason)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Which messages; `Default` is all of the tenant that wait.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    pub stream: Option<StreamName>,
    pub device: Option<DeviceId>,
    pub reason: Option<String>,
    /// Received before this time; pages backwards, and bounds a purge.
    pub before: Option<Timestamp>,
    pub ids: Option<Vec<String>>,
    /// Also those that were replayed with success.
    pub with_replayed: bool,
}

/// Bytes that a message counts for besides its payload.
pub const QUARANTINED_BYTES_MIN: u64 = 256;

/// What a look at the size of a tenant's quarantine has found and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Messages that are gone.
    pub deleted: u64,
    pub bytes_left: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QuarantineCount {
    pub stream: Option<StreamName>,
    pub reason: String,
    pub count: u64,
}

#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Adds what is not there yet.
    async fn quarantine_put(&self, messages: &[QuarantinedMessage], commit: Commit<'_>) -> Result<()>;
    /// Newest first.
    async fn quarantine_list(
        &self,
        tenant: &TenantId,
        filter: &QuarantineFilter,
        limit: u32,
    ) -> Result<Vec<QuarantinedMessage>>;
    /// What waits, by stream and reason.
    async fn quarantine_counts(&self, tenant: &TenantId) -> Result<Vec<QuarantineCount>>;
    /// Those of the ids that exist, in no particular order.
    async fn quarantine_get(&self, tenant: &TenantId, ids: &[String]) -> Result<Vec<QuarantinedMessage>>;
    /// Takes the messages out of the inbox; they stay on record until purged.
    async fn quarantine_mark_replayed(&self, tenant: &TenantId, ids: &[String]) -> Result<()>;
    /// Deletes; returns how many.
    async fn quarantine_purge(&self, tenant: &TenantId, filter: &QuarantineFilter) -> Result<u64>;
    /// Deletes the oldest messages when the tenant's take more than `bytes_max`, until nine tenths of it are left. Says
    /// what that was and what there is.
    async fn quarantine_trim(&self, tenant: &TenantId, bytes_max: u64) -> Result<Trimmed>;
}
