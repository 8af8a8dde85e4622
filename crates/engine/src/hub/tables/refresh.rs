//! Sources are read again when their time has come. What fails is told, and tried again at the next time; pipelines go on
//! with the rows that there are.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use springhouse_model::{StreamName, TenantId};
use tokio::task::{Id, JoinSet};

use super::Tables;
use crate::hub::{EngineError, Shared};

/// How long the timer sleeps without a table to wait for.
const IDLE: Duration = Duration::from_secs(3_600);

impl Shared {
    /// Reads the source of a table and takes what is there. The number of the version, if there is another one.
    pub(in crate::hub) async fn refresh(
        &self,
        tenant: &TenantId,
        name: &StreamName,
    ) -> Result<Option<u32>, EngineError> {
        let (id, table) = self.tables.known(tenant, name)?;
        let read = self.tables.read_source(&self.threads, tenant, &table).await;
        let accepted = match read {
            Ok(None) => return Ok(None),
            Ok(Some(rows)) => {
                let _turn = self.turn.lock().await;
                self.tables.accept(id, rows).await
            }
            Err(error) => Err(error),
        };
        self.tables.note(id, &accepted);
        accepted
    }

    /// Runs as long as the engine is there.
    pub(in crate::hub) async fn keep_tables(engine: Weak<Shared>, tables: Tables) {
        // Side by side: one whose source does not answer holds up no other.
        let mut reading = JoinSet::new();
        let mut read: HashMap<Id, (TenantId, StreamName)> = HashMap::new();
        loop {
            let (due, wait) = tables.due(Instant::now());
            for table in
                due.into_iter().filter(|table| !read.values().any(|other| other == table)).collect::<Vec<_>>()
            {
                let Some(engine) = engine.upgrade() else { return };
                let (tenant, name) = table.clone();
                let task = reading.spawn(async move { engine.refresh_and_tell(&tenant, &name).await });
                read.insert(task.id(), table);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = tables.shared.changed.notified() => {}
                Some(ended) = reading.join_next_with_id() => {
                    read.remove(&ended.map_or_else(|failed| failed.id(), |(id, ())| id));
                }
            }
        }
    }

    async fn refresh_and_tell(&self, tenant: &TenantId, name: &StreamName) {
        if self.refresh(tenant, name).await.is_err() {
            // The reason quotes what stands in the file, which may be about persons; the table's status has it.
            tracing::warn!(table = %name, "a table cannot be refreshed; it keeps its rows, and its status says why");
        }
    }
}

impl Tables {
    /// The tables whose time has come, each with its next time set, and how long to wait for the next one.
    fn due(&self, now: Instant) -> (Vec<(TenantId, StreamName)>, Duration) {
        let mut members = self.shared.members.lock();
        let mut due = Vec::new();
        for member in members.values_mut() {
            let interval = member.table.refresh_us.map(|micros| Duration::from_micros(micros.unsigned_abs()));
            if let (Some(at), Some(interval)) = (member.due, interval)
                && at <= now
            {
                member.due = now.checked_add(interval);
                due.push((member.entry.tenant.clone(), member.entry.name.clone()));
            }
        }
        let next = members.values().filter_map(|member| member.due).min();
        let wait = if due.is_empty() { next.map_or(IDLE, |next| next - now) } else { Duration::ZERO };
        (due, wait)
    }

    /// Shows how an attempt to get rows has ended.
    pub(in crate::hub) fn note(&self, id: u32, outcome: &Result<Option<u32>, EngineError>) {
        let mut members = self.shared.members.lock();
        let Some(member) = members.get_mut(&id) else { return };
        let word = match outcome {
            Ok(Some(_)) => "changed",
            Ok(None) => "unchanged",
            Err(_) => "failed",
        };
        member.error = outcome.as_ref().err().map(EngineError::full_text);
        let table = member.entry.name.to_string();
        metrics::counter!("springhouse_table_loads_total", "table" => table, "outcome" => word).increment(1);
        member.tell();
    }

    pub(in crate::hub) fn known(
        &self,
        tenant: &TenantId,
        name: &StreamName,
    ) -> Result<(u32, Arc<crate::statement::CreateTable>), EngineError> {
        let members = self.shared.members.lock();
        let found =
            members.values().find(|member| member.entry.tenant == *tenant && member.entry.name == *name);
        match found {
            Some(member) => Ok((member.entry.id, Arc::clone(&member.table))),
            None => Err(EngineError::NotFound { kind: "table", name: name.clone() }),
        }
    }
}
