//! Which rows a pipeline looks up at its place in the log.

use std::sync::Arc;

use springhouse_log::{Offset, Record};
use springhouse_meta::TableVersion;

use super::Tables;
use crate::Pipeline;
use crate::hub::EngineError;
use crate::tables::TableRows;

impl Tables {
    /// Gives a pipeline that goes on with the record at `at` the versions that hold there.
    pub(crate) fn bring(&self, pipeline: &mut Pipeline, at: Offset) -> Result<(), EngineError> {
        for (place, table) in pipeline.plan().tables.clone().iter().enumerate() {
            if let Some(version) = self.version_at(table.id, at)
                && let Some(rows) = self.rows_of(table.id, version)?
            {
                pipeline.put_table(place, &rows);
            }
        }
        Ok(())
    }

    /// Gives a pipeline the version that a record of its log tells of, if it looks that table up. A version that is not kept
    /// was followed by another before any pipeline could stand there; the one before stays as good as it.
    pub(crate) fn announced(&self, pipeline: &mut Pipeline, record: &Record) -> Result<(), EngineError> {
        let place = pipeline.plan().tables.iter().position(|table| table.id == record.stream);
        if let (Some(place), Some(version)) = (place, record.table_version())
            && let Some(rows) = self.rows_of(record.stream, version)?
        {
            pipeline.put_table(place, &rows);
        }
        Ok(())
    }

    /// Gives a pipeline the newest versions, for those that have no place in the log.
    pub(crate) fn bring_newest(&self, pipeline: &mut Pipeline) -> Result<(), EngineError> {
        self.bring(pipeline, Offset(u64::MAX))
    }

    /// The version whose record is the last one before `at`. Where those that were there first are not kept, the oldest that
    /// is.
    fn version_at(&self, table: u32, at: Offset) -> Option<u32> {
        let members = self.shared.members.lock();
        version_at(&members.get(&table)?.versions, at)
    }

    /// `None` for a version that is not kept.
    pub(super) fn rows_of(&self, table: u32, version: u32) -> Result<Option<Arc<TableRows>>, EngineError> {
        let definition = {
            let members = self.shared.members.lock();
            let Some(member) = members.get(&table) else { return Ok(None) };
            if let Some((_, rows)) = member.rows.as_ref().filter(|(newest, _)| *newest == version) {
                return Ok(Some(Arc::clone(rows)));
            }
            if let Some(rows) = member.others.get(&version).and_then(std::sync::Weak::upgrade) {
                return Ok(Some(rows));
            }
            if !member.versions.iter().any(|known| known.version == version) {
                return Ok(None);
            }
            member.definition.clone()
        };
        let rows = Arc::new(self.shared.files.read(&definition, table, version)?);
        if let Some(member) = self.shared.members.lock().get_mut(&table) {
            member.others.retain(|_, rows| rows.strong_count() > 0);
            member.others.insert(version, Arc::downgrade(&rows));
        }
        Ok(Some(rows))
    }
}

fn version_at(versions: &[TableVersion], at: Offset) -> Option<u32> {
    let is_before = |version: &&TableVersion| version.offset.is_some_and(|offset| offset < at.0);
    let found = versions.iter().rev().find(is_before);
    let oldest = versions.first().filter(|oldest| oldest.version > 1);
    found.or(oldest).map(|version| version.version)
}

#[cfg(test)]
mod tests {
    use springhouse_model::Timestamp;

    use super::*;

    fn version(version: u32, offset: u64) -> TableVersion {
        TableVersion { version, begun: 0, offset: Some(offset), rows: 0, bytes: 0, created_at: Timestamp(0) }
    }

    #[test]
    fn a_version_holds_behind_its_record_and_before_the_first_there_is_none() {
        let versions = [version(1, 5), version(2, 9)];
        let found: Vec<Option<u32>> =
            [0, 5, 6, 9, 10, u64::MAX].map(|at| version_at(&versions, Offset(at))).into();
        assert_eq!(found, [None, None, Some(1), Some(1), Some(2), Some(2)]);
        assert_eq!(version_at(&[], Offset(7)), None);
        let kept = [version(3, 15), version(4, 19)];
        assert_eq!([0, 16, 20].map(|at| version_at(&kept, Offset(at))), [Some(3), Some(3), Some(4)]);
    }
}
