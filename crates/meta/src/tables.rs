//! Reference tables: their statements, and which versions of their rows there are. The rows are files of the engine's.

use async_trait::async_trait;
use serde::Serialize;
use springhouse_model::{StreamName, TenantId, Timestamp};

use crate::Result;

/// A table to be created.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub tenant: TenantId,
    pub name: StreamName,
    pub sql: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableEntry {
    /// Names the table in the log, where streams are named by the same numbers; never given twice.
    pub id: u32,
    pub tenant: TenantId,
    pub name: StreamName,
    pub sql: String,
    pub created_at: Timestamp,
}

/// The rows of a table from some record of the log on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableVersion {
    /// Counted from 1 for each table.
    pub version: u32,
    /// Where the log ended when it was begun: its record stands there or later.
    pub begun: u64,
    /// The offset of its record; `None` as long as that is not known.
    pub offset: Option<u64>,
    pub rows: u64,
    /// Of its file.
    pub bytes: u64,
    pub created_at: Timestamp,
}

#[async_trait]
pub trait ReferenceTables: Send + Sync {
    /// The tables of a tenant, or with `None` of all, by id.
    async fn tables(&self, tenant: Option<&TenantId>) -> Result<Vec<TableEntry>>;
    /// Creates the table; `Conflict` when a table or a stream has the name.
    async fn create_table(&self, table: NewTable) -> Result<TableEntry>;
    /// Forgets the table and its versions.
    async fn drop_table(&self, tenant: &TenantId, name: &str) -> Result<bool>;
    /// The versions of a table, the oldest first.
    async fn table_versions(&self, table: u32) -> Result<Vec<TableVersion>>;
    /// Notes a version that is about to be written into the log behind `begun`; it gets the number after the newest.
    async fn begin_table_version(
        &self,
        table: u32,
        begun: u64,
        rows: u64,
        bytes: u64,
    ) -> Result<TableVersion>;
    /// Notes where the record of a version stands.
    async fn finish_table_version(&self, table: u32, version: u32, offset: u64) -> Result<()>;
    /// Forgets the versions before `version`.
    async fn forget_table_versions(&self, table: u32, version: u32) -> Result<()>;
}
