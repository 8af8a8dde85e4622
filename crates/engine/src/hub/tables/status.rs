//! How tables are doing.

use springhouse_model::{StreamName, TenantId, Timestamp};

use super::{Member, Tables};
use crate::statement::{Column, RowFormat, RowSource};

/// One table at one moment.
#[derive(Clone, Debug)]
pub struct TableStatus {
    pub name: StreamName,
    pub sql: String,
    pub columns: Vec<Column>,
    /// The names of its columns.
    pub key: Vec<String>,
    pub valid_from: Option<String>,
    /// A file or an address; `None` when rows are sent or made by a query.
    pub place: Option<String>,
    pub format: Option<RowFormat>,
    /// Whether a query over history makes the rows.
    pub is_query: bool,
    pub refresh_us: Option<i64>,
    pub created_at: Timestamp,
    /// Of the newest version; `None` before the first.
    pub version: Option<u32>,
    pub rows: u64,
    /// In memory, with the index.
    pub bytes: u64,
    pub changed_at: Option<Timestamp>,
    /// When the source was last read with success since the hub was started.
    pub checked_at: Option<Timestamp>,
    /// Why the last attempt has failed.
    pub error: Option<String>,
    /// Versions that are kept, and the bytes of their files.
    pub versions: usize,
    pub versions_bytes: u64,
}

impl Tables {
    /// The tables of a tenant, by the time of their creation.
    pub fn status(&self, tenant: &TenantId) -> Vec<TableStatus> {
        let members = self.shared.members.lock();
        members.values().filter(|member| member.entry.tenant == *tenant).map(Member::status).collect()
    }
}

impl Member {
    fn status(&self) -> TableStatus {
        let (place, format) = match &self.table.source {
            RowSource::Place { place, format } => (Some(place.clone()), Some(*format)),
            RowSource::Given | RowSource::Query(_) => (None, None),
        };
        let newest = self.versions.last();
        TableStatus {
            name: self.entry.name.clone(),
            sql: self.entry.sql.clone(),
            columns: self.table.columns.clone(),
            key: self.table.key.iter().map(|at| self.table.columns[*at].name.clone()).collect(),
            valid_from: self.table.valid_from.map(|at| self.table.columns[at].name.clone()),
            place,
            format,
            is_query: matches!(self.table.source, RowSource::Query(_)),
            refresh_us: self.table.refresh_us,
            created_at: self.entry.created_at,
            version: newest.map(|newest| newest.version),
            rows: newest.map_or(0, |newest| newest.rows),
            bytes: self.rows.as_ref().map_or(0, |(_, rows)| rows.bytes() as u64),
            changed_at: newest.map(|newest| newest.created_at),
            checked_at: self.checked_at,
            error: self.error.clone(),
            versions: self.versions.len(),
            versions_bytes: self.versions.iter().map(|version| version.bytes).sum(),
        }
    }

    /// Into the metrics.
    pub(super) fn tell(&self) {
        let status = self.status();
        let version = status.version.map_or(0.0, f64::from);
        let failing = if status.error.is_some() { 1.0 } else { 0.0 };
        self.tell_numbers([status.rows as f64, status.bytes as f64, version, failing]);
    }

    /// What is gone holds nothing.
    pub(super) fn tell_gone(&self) {
        self.tell_numbers([0.0; 4]);
    }

    fn tell_numbers(&self, [rows, bytes, version, failing]: [f64; 4]) {
        let table = self.entry.name.to_string();
        metrics::gauge!("springhouse_table_rows", "table" => table.clone()).set(rows);
        metrics::gauge!("springhouse_table_bytes", "table" => table.clone()).set(bytes);
        metrics::gauge!("springhouse_table_version", "table" => table.clone()).set(version);
        metrics::gauge!("springhouse_table_failing", "table" => table).set(failing);
    }
}
