//! The last value of every property, as it was when last written down; the live one is the lake's twin.

use async_trait::async_trait;
use springhouse_model::{DeviceId, StreamName, TenantId, Timestamp};

use crate::{Commit, Result};

#[derive(Clone, Debug, PartialEq)]
pub struct TwinRow {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub stream: StreamName,
    pub property: String,
    pub value: serde_json::Value,
    /// Event time of the value.
    pub ts: Timestamp,
    /// The record it came with; decides between values of the same time.
    pub offset: u64,
}

#[async_trait]
pub trait TwinRows: Send + Sync {
    /// Writes the rows over what is there. A power cut may lose the last of these with their offsets; the log has them.
    async fn twin_put(&self, rows: &[TwinRow], commit: Commit<'_>) -> Result<()>;
    /// All rows of all tenants.
    async fn twin_load(&self) -> Result<Vec<TwinRow>>;
    /// Forgets the values of a dropped stream.
    async fn twin_forget(&self, tenant: &TenantId, stream: &StreamName) -> Result<()>;
}
