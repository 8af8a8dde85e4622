//! The rows of versions on the disk: `DATA/tables/<table>/<version>.parquet`, never changed once they are there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::hub::EngineError;
use crate::statement::RowFormat;
use crate::tables::{Bounds, Definition, TableRows, read_bytes, write_parquet};

pub(super) struct VersionFiles {
    folder: PathBuf,
}

impl VersionFiles {
    pub(super) fn new(data_dir: &Path) -> VersionFiles {
        VersionFiles { folder: data_dir.join("tables") }
    }

    /// Returns the bytes of the file when it is durable.
    pub(super) fn write(&self, table: u32, version: u32, rows: &TableRows) -> Result<u64, EngineError> {
        let path = self.file(table, version);
        let draft = path.with_extension("tmp");
        let written = (|| {
            let folder = self.folder.join(table.to_string());
            fs::create_dir_all(&folder)?;
            let bytes = write_parquet(rows.batch()).map_err(io::Error::other)?;
            let mut file = File::create(&draft)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&folder)?.sync_all()?;
            File::open(&self.folder)?.sync_all()?;
            Ok(bytes.len() as u64)
        })();
        written.map_err(|source| EngineError::TableFile { doing: "write", path, source })
    }

    pub(super) fn read(
        &self,
        definition: &Definition,
        table: u32,
        version: u32,
    ) -> Result<TableRows, EngineError> {
        let path = self.file(table, version);
        let bytes = fs::read(&path).map_err(|source| {
            let path = path.clone();
            EngineError::TableFile { doing: "read", path, source }
        })?;
        // What was taken once is taken again, whatever bounds there are meanwhile.
        let bounds = Bounds { rows_max: usize::MAX, bytes_max: usize::MAX };
        let from = path.display().to_string();
        Ok(read_bytes(definition, &from, Bytes::from(bytes), RowFormat::Parquet, bounds)?)
    }

    /// What cannot be removed costs space, nothing else.
    pub(super) fn remove(&self, table: u32, versions: impl IntoIterator<Item = u32>) {
        for version in versions {
            let _ = fs::remove_file(self.file(table, version));
        }
    }

    pub(super) fn remove_all(&self, table: u32) {
        let _ = fs::remove_dir_all(self.folder.join(table.to_string()));
    }

    fn file(&self, table: u32, version: u32) -> PathBuf {
        self.folder.join(table.to_string()).join(format!("{version}.parquet"))
    }
}
