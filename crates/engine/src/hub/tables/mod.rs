//! The reference tables of a hub, and which of their versions holds where in the log.
//!
//! ```text
//! source ─read whole─▶ other rows than before? ─▶ DATA/tables/<id>/<version>.parquet ─▶ meta ─▶ record in the log ─▶ meta
//!                                                                                          "table T has version V from here on"
//! ```
//! What a pipeline gives is a function of the log: at the record of a version it begins to look up that version's rows,
//! whenever it comes there. Which version holds at an offset follows from the offsets of these records, which meta keeps;
//! a snapshot of a pipeline needs to say no more than its own offset. A version is announced while nobody starts a pipeline,
//! so that none can stand behind a record that is not known yet.

mod announce;
mod files;
mod place;
mod refresh;
mod seen;
mod source;
mod statements;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use parking_lot::Mutex;
use springhouse_log::Log;
use springhouse_meta::{Meta, TableEntry, TableVersion};
use springhouse_model::{StreamName, TenantId, Timestamp};

use super::EngineError;
use crate::statement::{self, CreateTable, RowSource, Statement};
use crate::tables::{Bounds, Definition, Fetch, TableRows};
use crate::{LookupTable, PlanError};

pub use source::History;
pub use status::TableStatus;

use files::VersionFiles;

/// From where tables may be read, and how much they may take.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// Files are read from below these directories alone; the first is where names without a directory are looked for.
    pub directories: Vec<PathBuf>,
    pub bounds: Bounds,
    /// What the files of all versions of one table may take.
    pub versions_bytes_max: u64,
    /// For tables that are read from other machines; without it there are none.
    pub fetch: Option<Arc<dyn Fetch>>,
}

impl TableOptions {
    pub fn new(data_dir: &std::path::Path) -> TableOptions {
        TableOptions {
            directories: vec![data_dir.join("import")],
            bounds: Bounds::default(),
            versions_bytes_max: 1 << 30,
            fetch: None,
        }
    }
}

/// The tables of all tenants. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Tables {
    shared: Arc<Inner>,
}

struct Inner {
    options: TableOptions,
    files: VersionFiles,
    meta: Arc<dyn Meta>,
    log: Arc<dyn Log>,
    members: Mutex<BTreeMap<u32, Member>>,
    /// Until the engine ends: the lake knows the tables, too.
    history: Mutex<Option<Arc<dyn History>>>,
    /// Somebody has given the timer another table.
    changed: tokio::sync::Notify,
}

/// A table and what is known of its rows.
struct Member {
    entry: TableEntry,
    table: Arc<CreateTable>,
    definition: Definition,
    /// Those whose records are in the log, the oldest first.
    versions: Vec<TableVersion>,
    /// One that is on its way into the log.
    begun: Option<TableVersion>,
    /// The rows of the newest version, also of one on its way.
    rows: Option<(u32, Arc<TableRows>)>,
    /// The rows of others, as long as a pipeline looks them up.
    others: HashMap<u32, Weak<TableRows>>,
    /// When the source was last read with success.
    checked_at: Option<Timestamp>,
    /// Why the last attempt has failed.
    error: Option<String>,
    due: Option<Instant>,
}

impl Tables {
    /// Reads what meta knows, and finishes what a killed hub has left half-done.
    pub(crate) async fn open(
        options: TableOptions,
        data_dir: &std::path::Path,
        meta: Arc<dyn Meta>,
        log: Arc<dyn Log>,
    ) -> Result<Tables, EngineError> {
        let inner = Inner {
            options,
            files: VersionFiles::new(data_dir),
            meta,
            log,
            members: Mutex::default(),
            history: Mutex::default(),
            changed: tokio::sync::Notify::new(),
        };
        let tables = Tables { shared: Arc::new(inner) };
        for entry in tables.shared.meta.tables(None).await? {
            if let Err(error) = tables.adopt(entry.clone()).await {
                tracing::error!(
                    table = %entry.name,
                    error = &error as &dyn std::error::Error,
                    "a table cannot be used; others can"
                );
            }
        }
        Ok(tables)
    }

    async fn adopt(&self, entry: TableEntry) -> Result<(), EngineError> {
        let id = entry.id;
        let mut member = Member::new(entry)?;
        let mut versions = self.shared.meta.table_versions(id).await?;
        member.begun = versions.pop_if(|last| last.offset.is_none());
        member.versions = versions;
        // Changes of the source since the hub was stopped are looked for at once.
        member.due = member.table.refresh_us.map(|_| Instant::now());
        self.shared.members.lock().insert(id, member);
        self.finish_begun(id).await?;
        let newest = self.newest_version(id);
        let read = newest.map(|version| self.rows_of(id, version)).transpose();
        let mut members = self.shared.members.lock();
        if let Some(member) = members.get_mut(&id) {
            match read {
                Ok(rows) => member.rows = newest.zip(rows.flatten()),
                Err(error) => member.error = Some(error.full_text()),
            }
            member.tell();
        }
        Ok(())
    }

    /// The tables of a tenant as the planner sees them.
    pub(crate) fn for_planner(&self, tenant: &TenantId) -> Vec<LookupTable> {
        let members = self.shared.members.lock();
        let own = members.values().filter(|member| member.entry.tenant == *tenant);
        own.map(Member::for_planner).collect()
    }

    /// The tables of a tenant with the rows of their newest versions.
    pub fn newest(&self, tenant: &TenantId) -> Vec<(LookupTable, Option<Arc<TableRows>>)> {
        let members = self.shared.members.lock();
        let own = members.values().filter(|member| member.entry.tenant == *tenant);
        own.map(|member| (member.for_planner(), member.rows.as_ref().map(|(_, rows)| Arc::clone(rows))))
            .collect()
    }

    /// As [`Tables::newest`], for those who ask for rows alone: a table that has none yet is empty.
    pub fn batches(&self, tenant: &TenantId) -> Vec<(StreamName, RecordBatch)> {
        let rows = |(table, rows): (LookupTable, Option<Arc<TableRows>>)| {
            let empty = || RecordBatch::new_empty(Arc::clone(table.definition.schema()));
            let batch = rows.map_or_else(empty, |rows| rows.batch().clone());
            (table.name, batch)
        };
        self.newest(tenant).into_iter().map(rows).collect()
    }

    pub(crate) fn entry(&self, tenant: &TenantId, name: &StreamName) -> Option<TableEntry> {
        let members = self.shared.members.lock();
        let found =
            members.values().find(|member| member.entry.tenant == *tenant && member.entry.name == *name);
        found.map(|member| member.entry.clone())
    }

    /// The tables of a tenant, and where their rows come from.
    pub(crate) fn sources(&self, tenant: &TenantId) -> Vec<(StreamName, RowSource)> {
        let members = self.shared.members.lock();
        let own = members.values().filter(|member| member.entry.tenant == *tenant);
        own.map(|member| (member.entry.name.clone(), member.table.source.clone())).collect()
    }

    /// How often tables were read from other machines.
    pub fn connections(&self) -> u64 {
        self.shared.options.fetch.as_ref().map_or(0, |fetch| fetch.connections())
    }

    pub(crate) fn entries(&self) -> Vec<TableEntry> {
        self.shared.members.lock().values().map(|member| member.entry.clone()).collect()
    }

    fn newest_version(&self, id: u32) -> Option<u32> {
        self.shared.members.lock().get(&id)?.versions.last().map(|newest| newest.version)
    }
}

impl Member {
    fn new(entry: TableEntry) -> Result<Member, EngineError> {
        let table = match statement::parse_one(&entry.sql).map_err(PlanError::from)? {
            Statement::CreateTable(table) => table,
            other => return Err(PlanError::new(format!("{} declares no table", other.verb())).into()),
        };
        Ok(Member {
            definition: Definition::of(&table),
            table: Arc::new(table),
            entry,
            versions: Vec::new(),
            begun: None,
            rows: None,
            others: HashMap::new(),
            checked_at: None,
            error: None,
            due: None,
        })
    }

    fn for_planner(&self) -> LookupTable {
        LookupTable { name: self.entry.name.clone(), id: self.entry.id, definition: self.definition.clone() }
    }
}
