//! Rows that were read become a version, if they are others than before.
//!
//! Each step is durable before the next, so that a hub that is killed in between finds at its next start a file that nobody
//! knows, which is written over, or a version that meta has begun: its record is looked for in the log, and written if it is
//! not there.

use std::sync::Arc;

use springhouse_log::{Append, Offset, Reader};
use springhouse_meta::TableVersion;
use springhouse_model::{Clock, SystemClock};

use super::Tables;
use crate::hub::EngineError;
use crate::tables::TableRows;

const READ_BYTES: usize = 1 << 20;

impl Tables {
    /// Takes rows as those of a table from here on. Returns the number of their version, or `None` when the table has these
    /// rows already. Calls take turns with everything that starts a pipeline.
    pub(super) async fn accept(&self, id: u32, rows: TableRows) -> Result<Option<u32>, EngineError> {
        self.finish_begun(id).await?;
        self.tidy(id).await;
        let next = {
            let mut members = self.shared.members.lock();
            let Some(member) = members.get_mut(&id) else { return Ok(None) };
            (member.checked_at, member.error) = (Some(SystemClock.now()), None);
            if member.rows.as_ref().is_some_and(|(_, present)| present.batch() == rows.batch()) {
                return Ok(None);
            }
            member.versions.last().map_or(0, |newest| newest.version).saturating_add(1)
        };
        let rows = Arc::new(rows);
        let (shared, written) = (Arc::clone(&self.shared), Arc::clone(&rows));
        let bytes = tokio::task::spawn_blocking(move || shared.files.write(id, next, &written));
        let bytes = bytes.await.map_err(|_| EngineError::Interrupted)??;
        self.check_room(id, next, bytes)?;
        let count = rows.batch().num_rows() as u64;
        let begun = self.shared.meta.begin_table_version(id, self.shared.log.end().0, count, bytes).await?;
        if let Some(member) = self.shared.members.lock().get_mut(&id) {
            // Whoever reads the record the moment it is there finds the rows.
            if let Some((version, before)) = member.rows.replace((begun.version, rows)) {
                member.others.insert(version, Arc::downgrade(&before));
            }
            member.begun = Some(begun);
        }
        self.write_begun(id).await?;
        self.tidy(id).await;
        Ok(Some(next))
    }

    /// What was begun and is perhaps in the log.
    pub(super) async fn finish_begun(&self, id: u32) -> Result<(), EngineError> {
        let begun = self.shared.members.lock().get(&id).and_then(|member| member.begun.clone());
        let Some(begun) = begun else { return Ok(()) };
        let log = Arc::clone(&self.shared.log);
        let mut reader = Reader::new(Arc::clone(&log), Offset(begun.begun).max(log.head()));
        loop {
            let records = reader.next_ready(READ_BYTES).await?;
            if records.is_empty() {
                return self.write_begun(id).await;
            }
            let is_it = |version: Option<u32>, table: u32| table == id && version == Some(begun.version);
            let found = records.iter().find(|record| is_it(record.table_version(), record.stream));
            if let Some(record) = found {
                return self.known_at(id, record.offset).await;
            }
        }
    }

    async fn write_begun(&self, id: u32) -> Result<(), EngineError> {
        let begun = self.shared.members.lock().get(&id).and_then(|member| member.begun.clone());
        let Some(begun) = begun else { return Ok(()) };
        let offset = self.shared.log.append(vec![Append::table(id, begun.version)]).await?;
        self.known_at(id, offset).await
    }

    /// The record of the version that was begun stands at `offset`.
    async fn known_at(&self, id: u32, offset: Offset) -> Result<(), EngineError> {
        let begun = {
            let mut members = self.shared.members.lock();
            let Some(member) = members.get_mut(&id) else { return Ok(()) };
            let Some(begun) = member.begun.take() else { return Ok(()) };
            member.versions.push(TableVersion { offset: Some(offset.0), ..begun.clone() });
            member.tell();
            begun
        };
        if let Err(error) = self.shared.meta.finish_table_version(id, begun.version, offset.0).await {
            // The next start finds the record in the log.
            tracing::warn!(
                table = id,
                error = &error as &dyn std::error::Error,
                "the record of a table's version cannot be noted"
            );
        }
        Ok(())
    }

    /// Forgets versions that were followed by another before the first record that is kept. When all take too much, no
    /// pipeline that is created later will see those that the present ones do not need.
    async fn tidy(&self, id: u32) {
        let log = &self.shared.log;
        let forgotten: Vec<u32> = {
            let mut members = self.shared.members.lock();
            let Some(member) = members.get_mut(&id) else { return };
            let bytes: u64 = member.versions.iter().map(|version| version.bytes).sum();
            let needed_from = match bytes > self.shared.options.versions_bytes_max / 2 {
                true => {
                    let holds = log.stats().holds.into_iter();
                    let of_pipelines = holds.filter(|(name, _)| name.starts_with("pipeline-"));
                    of_pipelines.map(|(_, offset)| offset).min().unwrap_or_else(|| log.end())
                }
                false => log.head(),
            };
            let is_over = |next: &TableVersion| next.offset.is_some_and(|offset| offset <= needed_from.0);
            let count = member.versions.iter().skip(1).take_while(|next| is_over(next)).count();
            member.versions.drain(..count).map(|version| version.version).collect()
        };
        let Some(last) = forgotten.last() else { return };
        match self.shared.meta.forget_table_versions(id, last.saturating_add(1)).await {
            Ok(()) => self.shared.files.remove(id, forgotten),
            Err(error) => tracing::warn!(
                table = id,
                error = &error as &dyn std::error::Error,
                "versions of a table that nobody needs stay"
            ),
        }
    }

    fn check_room(&self, id: u32, next: u32, bytes: u64) -> Result<(), EngineError> {
        let members = self.shared.members.lock();
        let Some(member) = members.get(&id) else { return Ok(()) };
        let kept: u64 = member.versions.iter().map(|version| version.bytes).sum();
        let bytes_max = self.shared.options.versions_bytes_max;
        if kept.saturating_add(bytes) <= bytes_max || member.versions.is_empty() {
            return Ok(());
        }
        self.shared.files.remove(id, [next]);
        Err(EngineError::TableVersions { name: member.entry.name.clone(), bytes: kept, bytes_max })
    }
}
