//! The manifest of the lake in SQLite.

use async_trait::async_trait;
use springhouse_model::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, move_consumer, next_id, to_signed};
use super::{Durability, SqliteMeta, database};
use crate::{AddedFiles, Commit, LakeFile, LakeFiles, MetaError, Result};

#[async_trait]
impl LakeFiles for SqliteMeta {
    async fn add_files(&self, add: &[LakeFile], remove: &[i64], commit: Commit<'_>) -> Result<AddedFiles> {
        let mut write = self.write(Durability::Full).await?;
        for id in remove {
            let gone = sqlx::query("DELETE FROM lake_files WHERE id = $1")
                .bind(id)
                .execute(write.sql())
                .await
                .map_err(database("remove a lake file"))?;
            if gone.rows_affected() == 0 {
                return Err(MetaError::Conflict { kind: "lake file", name: id.to_string() });
            }
        }
        let mut outcome = AddedFiles::default();
        for file in add {
            match insert(write.sql(), file).await? {
                Some(file) => outcome.added.push(file),
                None => outcome.without_stream.push(file.path.clone()),
            }
        }
        move_consumer(write.sql(), commit).await?;
        write.commit().await?;
        Ok(outcome)
    }

    async fn files(&self, stream_id: u32, from: Timestamp, to: Timestamp) -> Result<Vec<LakeFile>> {
        sqlx::query(
            "SELECT * FROM lake_files WHERE stream_id = $1 AND max_ts >= $2 AND min_ts <= $3 ORDER BY id",
        )
        .bind(i64::from(stream_id))
        .bind(from.micros())
        .bind(to.micros())
        .fetch_all(&self.readers)
        .await
        .map_err(database("list lake files"))?
        .iter()
        .map(file)
        .collect()
    }

    async fn all_files(&self) -> Result<Vec<LakeFile>> {
        sqlx::query("SELECT * FROM lake_files ORDER BY id")
            .fetch_all(&self.readers)
            .await
            .map_err(database("list lake files"))?
            .iter()
            .map(file)
            .collect()
    }
}

/// `None` when the stream is gone: its rows must not come back by a flush that was under way.
async fn insert(connection: &mut SqliteConnection, file: &LakeFile) -> Result<Option<LakeFile>> {
    let doing = "add a lake file";
    let stream = sqlx::query("SELECT id FROM streams WHERE id = $1")
        .bind(i64::from(file.stream_id))
        .fetch_optional(&mut *connection)
        .await
        .map_err(database(doing))?;
    if stream.is_none() {
        return Ok(None);
    }
    let id = next_id(connection, "lake_file").await?;
    sqlx::query(
        "INSERT INTO lake_files (id, stream_id, path, row_count, bytes, min_ts, max_ts, min_device, max_device,
                                 schema_version, first_offset, last_offset, level, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(id)
    .bind(i64::from(file.stream_id))
    .bind(&file.path)
    .bind(to_signed(file.rows))
    .bind(to_signed(file.bytes))
    .bind(file.min_ts.micros())
    .bind(file.max_ts.micros())
    .bind(&file.min_device)
    .bind(&file.max_device)
    .bind(i64::from(file.schema_version))
    .bind(to_signed(file.first_offset))
    .bind(to_signed(file.last_offset))
    .bind(i64::from(file.level))
    .bind(file.created_at.micros())
    .execute(connection)
    .await
    .map_err(database(doing))?;
    Ok(Some(LakeFile { id, ..file.clone() }))
}

fn file(row: &SqliteRow) -> Result<LakeFile> {
    let columns = Columns { table: "lake_files", row };
    Ok(LakeFile {
        id: columns.signed("id")?,
        stream_id: columns.number("stream_id")?,
        path: columns.text("path")?,
        rows: columns.number("row_count")?,
        bytes: columns.number("bytes")?,
        min_ts: columns.time("min_ts")?,
        max_ts: columns.time("max_ts")?,
        min_device: columns.text_if("min_device")?,
        max_device: columns.text_if("max_device")?,
        schema_version: columns.number("schema_version")?,
        first_offset: columns.number("first_offset")?,
        last_offset: columns.number("last_offset")?,
        level: columns.number("level")?,
        created_at: columns.time("created_at")?,
    })
}
