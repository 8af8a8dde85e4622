//! Creating, filling and dropping tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use springhouse_meta::NewTable;
use springhouse_model::{StreamKey, StreamName, TenantId};

use super::{Member, Tables};
use crate::hub::{Engine, EngineError, Outcome, Shared};
use crate::statement::{CreateTable, RowFormat, RowSource};

impl Engine {
    /// The tables, for those who ask about what is there.
    pub fn tables(&self) -> &Tables {
        &self.shared.tables
    }

    /// Replaces the rows of a table that is given them. Returns the number of the version, or `None` when nothing has
    /// changed.
    pub async fn load_table(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        rows: Bytes,
        format: RowFormat,
    ) -> Result<Option<u32>, EngineError> {
        let (shared, tenant, name) = (Arc::clone(&self.shared), tenant.clone(), name.clone());
        let work = async move { shared.load(&tenant, &name, rows, format).await };
        self.shared.threads.complete(work).await?
    }
}

impl Shared {
    /// A table whose first rows cannot be read is not created.
    pub(in crate::hub) async fn create_table(
        &self,
        tenant: &TenantId,
        table: &CreateTable,
    ) -> Result<Outcome, EngineError> {
        let rows = match self.name_is_free(tenant, table)? {
            Some(outcome) => return Ok(outcome),
            None => self.tables.read_source(&self.threads, tenant, table).await?,
        };
        let _turn = self.turn.lock().await;
        if let Some(outcome) = self.name_is_free(tenant, table)? {
            return Ok(outcome);
        }
        let name = table.name.clone();
        let new = NewTable { tenant: tenant.clone(), name: name.clone(), sql: table.text.clone() };
        let entry = self.meta.create_table(new).await?;
        let id = entry.id;
        self.streams.set_table(&StreamKey::new(tenant.clone(), name.clone()), true);
        self.tables.enter(Member::new(entry)?);
        let Some(rows) = rows else {
            return Ok(Outcome::Done(format!("table `{name}` is there and has no rows yet")));
        };
        let count = rows.batch().num_rows();
        let accepted = self.tables.accept(id, rows).await;
        self.tables.note(id, &accepted);
        accepted?;
        Ok(Outcome::Done(format!("table `{name}` is there, with {count} rows")))
    }

    /// What there is to say when it is not.
    fn name_is_free(&self, tenant: &TenantId, table: &CreateTable) -> Result<Option<Outcome>, EngineError> {
        let name = &table.name;
        if self.streams.entry(&StreamKey::new(tenant.clone(), name.clone())).is_some() {
            return Err(EngineError::Exists { kind: "stream", name: name.clone() });
        }
        match (self.tables.entry(tenant, name), table.if_not_exists) {
            (None, _) => Ok(None),
            (Some(_), true) => Ok(Some(Outcome::Unchanged(format!("table `{name}` exists already")))),
            (Some(_), false) => Err(EngineError::Exists { kind: "table", name: name.clone() }),
        }
    }

    pub(in crate::hub) async fn refresh_table(
        &self,
        tenant: &TenantId,
        name: &StreamName,
    ) -> Result<Outcome, EngineError> {
        let (_, table) = self.tables.known(tenant, name)?;
        if table.source == RowSource::Given {
            return Err(EngineError::NoSource { name: name.clone() });
        }
        Ok(match self.refresh(tenant, name).await? {
            Some(version) => Outcome::Done(format!("table `{name}` has version {version}")),
            None => Outcome::Unchanged(format!("table `{name}` has these rows already")),
        })
    }

    async fn load(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        rows: Bytes,
        format: RowFormat,
    ) -> Result<Option<u32>, EngineError> {
        let (id, table) = self.tables.known(tenant, name)?;
        if table.source != RowSource::Given {
            return Err(EngineError::HasSource { name: name.clone() });
        }
        let accepted = match self.tables.read_given(&self.threads, &table, rows, format).await {
            Ok(rows) => {
                let _turn = self.turn.lock().await;
                self.tables.accept(id, rows).await
            }
            Err(error) => Err(error),
        };
        self.tables.note(id, &accepted);
        accepted
    }

    pub(in crate::hub) async fn drop_table(
        &self,
        tenant: &TenantId,
        name: &StreamName,
        if_exists: bool,
    ) -> Result<Outcome, EngineError> {
        let Some(entry) = self.tables.entry(tenant, name) else {
            return match if_exists {
                true => Ok(Outcome::Unchanged(format!("table `{name}` does not exist"))),
                false => Err(EngineError::NotFound { kind: "table", name: name.clone() }),
            };
        };
        let mut users = Vec::new();
        for pipeline in self.meta.pipelines(Some(tenant)).await? {
            // One that cannot be planned does not look anything up either.
            if let Ok(plan) = self.planned(&pipeline).await
                && plan.tables.iter().any(|table| table.id == entry.id)
            {
                users.push(format!("`{}`", pipeline.name));
            }
        }
        if !users.is_empty() {
            return Err(EngineError::TableInUse { table: name.clone(), users: users.join(", ") });
        }
        self.meta.drop_table(tenant, name.as_str()).await?;
        self.tables.leave(entry.id);
        self.streams.set_table(&StreamKey::new(tenant.clone(), name.clone()), false);
        Ok(Outcome::Done(format!("table `{name}` is gone")))
    }

    pub(in crate::hub) fn show_tables(&self, tenant: &TenantId) -> Outcome {
        let line = |status: super::TableStatus| {
            let state = match (&status.error, status.version) {
                (Some(error), _) => format!("failing: {error}"),
                (None, Some(version)) => format!("version {version}"),
                (None, None) => "no rows yet".to_owned(),
            };
            format!("{}\t{} rows\t{state}", status.name, status.rows)
        };
        Outcome::Listing(self.tables.status(tenant).into_iter().map(line).collect())
    }

    /// The columns of a table, a line each.
    pub(in crate::hub) fn describe_table(&self, tenant: &TenantId, name: &StreamName) -> Option<Outcome> {
        let (_, table) = self.tables.known(tenant, name).ok()?;
        let lines = table.columns.iter().enumerate().map(|(at, column)| {
            let ty = springhouse_schema::arrow_type(column.ty);
            let null = if column.required { "\tNOT NULL" } else { "" };
            let key = if table.key.contains(&at) { "\tPRIMARY KEY" } else { "" };
            let since = if table.valid_from == Some(at) { "\tVALID FROM" } else { "" };
            let unit = column.unit.as_ref().map(|unit| format!("\tUNIT '{unit}'")).unwrap_or_default();
            format!("{}\t{ty}{null}{key}{since}{unit}", column.name)
        });
        Some(Outcome::Listing(lines.collect()))
    }
}

impl Tables {
    fn enter(&self, mut member: Member) {
        let interval = member.table.refresh_us.map(|micros| Duration::from_micros(micros.unsigned_abs()));
        member.due = interval.and_then(|interval| Instant::now().checked_add(interval));
        self.shared.members.lock().insert(member.entry.id, member);
        self.shared.changed.notify_one();
    }

    fn leave(&self, id: u32) {
        if let Some(member) = self.shared.members.lock().remove(&id) {
            member.tell_gone();
        }
        self.shared.files.remove_all(id);
    }
}
