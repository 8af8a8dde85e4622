//! Alerts that fired. The rules are pipelines.

use async_trait::async_trait;
use serde::Serialize;
use springhouse_model::{Severity, TenantId, Timestamp};

use crate::{Commit, Result};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertEvent {
    /// Computed from what fired, so that the same firing read twice from the log is one event.
    pub id: String,
    pub tenant: TenantId,
    /// The rule's name.
    pub alert: String,
    pub severity: Severity,
    /// What it fired for, such as a device.
    pub key: String,
    pub at: Timestamp,
    pub row: serde_json::Value,
    /// When it was over. For alerts without an end, never.
    pub resolved_at: Option<Timestamp>,
    /// How many rows have fired until it was over, and 1 before; `None` for alerts without an end, whose rows are events
    /// of their own.
    pub times: Option<u64>,
    /// Why it is over, if it was not its rule that said so.
    pub note: Option<String>,
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
}

impl AlertEvent {
    /// Whether it has begun and is not over.
    pub fn is_firing(&self) -> bool {
        self.times.is_some() && self.resolved_at.is_none()
    }
}

/// Which events to list; `Default` is all.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    pub alert: Option<String>,
    /// Only those that nobody has acknowledged.
    pub open: bool,
    /// Only those that have begun and are not over.
    pub firing: bool,
    /// Only those before this time, to page backwards.
    pub before: Option<Timestamp>,
}

/// How often a rule has fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertCount {
    pub alert: String,
    pub fired: u64,
    pub open: u64,
    /// That have begun and are not over.
    pub firing: u64,
    pub last_at: Timestamp,
}

#[async_trait]
pub trait Alerts: Send + Sync {
    /// Records what is not there yet and returns the ids of these, in the order given. An event that is over completes the one
    /// with its id, or is recorded whole when that is missing.
    async fn record_alerts(&self, events: &[AlertEvent], commit: Commit<'_>) -> Result<Vec<String>>;
    /// A rule is gone or has forgotten what was firing at the record `before` of the log: all that it has fired before is
    /// over, also what is recorded later. Returns how many events that were.
    async fn end_alerts(&self, tenant: &TenantId, alert: &str, before: u64, note: &str) -> Result<u64>;
    /// Newest first.
    async fn alerts(&self, tenant: &TenantId, filter: &AlertFilter, limit: u32) -> Result<Vec<AlertEvent>>;
    async fn alert_counts(&self, tenant: &TenantId) -> Result<Vec<AlertCount>>;
    /// How many events of all tenants have begun and are not over, by severity.
    async fn alerts_firing(&self) -> Result<Vec<(Severity, u64)>>;
    /// The first to acknowledge stays on record.
    async fn acknowledge_alert(&self, tenant: &TenantId, id: &str, by: &str) -> Result<AlertEvent>;
}
