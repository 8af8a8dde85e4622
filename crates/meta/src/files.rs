//! The manifest of the lake: which objects hold which rows. A file that is not listed here does not exist for a query.

use async_trait::async_trait;
use springhouse_model::Timestamp;

use crate::{Commit, Result};

/// One Parquet object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeFile {
    /// Given by the store; what a file to be added carries is ignored.
    pub id: i64,
    pub stream_id: u32,
    /// Below the lake's root, with `/`.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    /// Event times, both inclusive.
    pub min_ts: Timestamp,
    pub max_ts: Timestamp,
    /// Devices in byte order, both inclusive; `None` when a row has no device.
    pub min_device: Option<String>,
    pub max_device: Option<String>,
    pub schema_version: u32,
    /// Log records whose rows are inside, both inclusive.
    pub first_offset: u64,
    pub last_offset: u64,
    /// 0 as flushed, higher after each merge.
    pub level: u8,
    pub created_at: Timestamp,
}

/// What became of the files to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddedFiles {
    /// With their ids.
    pub added: Vec<LakeFile>,
    /// Paths whose stream was dropped in the meantime; the objects are garbage.
    pub without_stream: Vec<String>,
}

#[async_trait]
pub trait LakeFiles: Send + Sync {
    /// Replaces `remove` by `add` and commits the offset, all or nothing. `Conflict` when one of `remove` is gone.
    async fn add_files(&self, add: &[LakeFile], remove: &[i64], commit: Commit<'_>) -> Result<AddedFiles>;
    /// The files of a stream that may hold rows of `[from, to]`, by id.
    async fn files(&self, stream_id: u32, from: Timestamp, to: Timestamp) -> Result<Vec<LakeFile>>;
    /// All files of all streams, by id: the lake's start and its search for orphans.
    async fn all_files(&self) -> Result<Vec<LakeFile>>;
}
