//! Streams and the versions of their schemas.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use springhouse_model::{StreamKey, TenantId, Timestamp};
use springhouse_schema::Schema;

use crate::Result;

/// Whether the owner has agreed to what showed up by itself. Devices and streams share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    Pending,
    Approved,
    Refused,
}

impl Approval {
    pub const fn as_str(self) -> &'static str {
        match self {
            Approval::Pending => "pending",
            Approval::Approved => "approved",
            Approval::Refused => "refused",
        }
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Approval {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Approval, String> {
        [Approval::Pending, Approval::Approved, Approval::Refused]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a state; hint: pending, approved or refused"))
    }
}

/// Where a stream comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// From the first message that named it.
    Inferred,
    /// By `CREATE STREAM` or a schema given over the API.
    Declared,
    /// The rows of a pipeline.
    Derived { pipeline: String },
}

/// How far the watermark stays behind where nothing is said: a device on a good network is not later than this.
pub const DEFAULT_WATERMARK_DELAY_US: i64 = 5_000_000;
/// The silence that ends a stream's hold on windows where nothing is said: longer than most devices stay silent, short
/// enough to be waited for.
pub const DEFAULT_IDLE_US: i64 = 60_000_000;

/// A stream to be created; the store gives it its number.
#[derive(Clone, Debug)]
pub struct NewStream {
    pub key: StreamKey,
    pub state: Approval,
    pub origin: Origin,
    /// Becomes version 1 whatever version it carries.
    pub schema: Schema,
    pub watermark_delay_us: i64,
    /// After this long without a row the stream no longer holds back windows.
    pub idle_us: Option<i64>,
    /// Rows older than this are dropped from the lake; `None` keeps them.
    pub retention_us: Option<i64>,
    /// The statement that declared it.
    pub sql: Option<String>,
}

/// A stream as it stands.
#[derive(Clone, Debug)]
pub struct StreamEntry {
    /// Names the stream in log records; from 1, unique over tenants, never given twice.
    pub id: u32,
    pub key: StreamKey,
    pub state: Approval,
    pub origin: Origin,
    /// The latest version.
    pub schema: Schema,
    pub watermark_delay_us: i64,
    pub idle_us: Option<i64>,
    pub retention_us: Option<i64>,
    pub sql: Option<String>,
    pub created_at: Timestamp,
}

#[async_trait]
pub trait Streams: Send + Sync {
    /// The streams of a tenant, or with `None` of all (for the log's readers, which meet all), by id.
    async fn streams(&self, tenant: Option<&TenantId>) -> Result<Vec<StreamEntry>>;
    async fn stream(&self, key: &StreamKey) -> Result<Option<StreamEntry>>;
    /// Creates the stream, or returns the one that has this key already, unchanged; `Conflict` when a table has the name.
    async fn create_stream(&self, stream: NewStream) -> Result<StreamEntry>;
    /// The highest number that a stream was ever given, 0 before the first.
    async fn highest_stream(&self) -> Result<u32>;
    /// Adds a version. `schema.version` must be the latest plus one, so that of two writers one gets `Conflict`;
    /// repeating a version with the same content is fine.
    async fn put_schema(&self, key: &StreamKey, schema: &Schema) -> Result<StreamEntry>;
    /// All versions, oldest first.
    async fn schemas(&self, key: &StreamKey) -> Result<Vec<Schema>>;
    async fn set_stream_state(&self, key: &StreamKey, state: Approval) -> Result<StreamEntry>;
    async fn approve_stream(&self, key: &StreamKey) -> Result<StreamEntry> {
        self.set_stream_state(key, Approval::Approved).await
    }
    async fn set_stream_timing(
        &self,
        key: &StreamKey,
        watermark_delay_us: i64,
        idle_us: Option<i64>,
    ) -> Result<StreamEntry>;
    async fn set_stream_retention(&self, key: &StreamKey, retention_us: Option<i64>) -> Result<StreamEntry>;
    /// Forgets the stream, its schemas and its lake files; false when there was none.
    async fn drop_stream(&self, key: &StreamKey) -> Result<bool>;
}
