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
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
}

/// Which events to list; `Default` is all.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    pub alert: Option<String>,
    /// Only those that nobody has acknowledged.
    pub open: bool,
    /// Only those before this time, to page backwards.
    pub before: Option<Timestamp>,
}

/// How often a rule has fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertCount {
    pub alert: String,
    pub fired: u64,
    pub open: u64,
    pub last_at: Timestamp,
}

#[async_trait]
pub trait Alerts: Send + Sync {
    /// Records what is not there yet and returns the ids of these, in the order given.
    async fn record_alerts(&self, events: &[AlertEvent], commit: Commit<'_>) -> Result<Vec<String>>;
    /// Newest first.
    async fn alerts(&self, tenant: &TenantId, filter: &AlertFilter, limit: u32) -> Result<Vec<AlertEvent>>;
    async fn alert_counts(&self, tenant: &TenantId) -> Result<Vec<AlertCount>>;
    /// The first to acknowledge stays on record.
    async fn acknowledge_alert(&self, tenant: &TenantId, id: &str, by: &str) -> Result<AlertEvent>;
}
