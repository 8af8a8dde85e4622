//! Reference tables in SQLite.

use async_trait::async_trait;
use springhouse_model::TenantId;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::rows::{Columns, next_id, to_signed};
use super::{Durability, SqliteMeta, database};
use crate::{MetaError, NewTable, ReferenceTables, Result, TableEntry, TableVersion};

#[async_trait]
impl ReferenceTables for SqliteMeta {
    async fn tables(&self, tenant: Option<&TenantId>) -> Result<Vec<TableEntry>> {
        sqlx::query("SELECT * FROM reference_tables WHERE (tenant = $1 OR $1 IS NULL) ORDER BY id")
            .bind(tenant.map(TenantId::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(database("list tables"))?
            .iter()
            .map(entry)
            .collect()
    }

    async fn create_table(&self, new: NewTable) -> Result<TableEntry> {
        let mut write = self.write(Durability::Full).await?;
        let (tenant, name) = (new.tenant.as_str(), new.name.as_str());
        let taken = sqlx::query(
            "SELECT 1 AS taken FROM reference_tables WHERE tenant = $1 AND name = $2
             UNION ALL SELECT 1 FROM streams WHERE tenant = $1 AND name = $2",
        )
        .bind(tenant)
        .bind(name)
        .fetch_optional(write.sql())
        .await
        .map_err(database("look up a name"))?;
        if taken.is_some() {
            return Err(MetaError::Conflict { kind: "table or stream", name: name.to_owned() });
        }
        let id = next_id(write.sql(), "stream").await?;
        let created_at = self.now();
        sqlx::query(
            "INSERT INTO reference_tables (id, tenant, name, statement, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(tenant)
        .bind(name)
        .bind(&new.sql)
        .bind(created_at.micros())
        .execute(write.sql())
        .await
        .map_err(database("create a table"))?;
        let row = sqlx::query("SELECT * FROM reference_tables WHERE id = $1")
            .bind(id)
            .fetch_one(write.sql())
            .await
            .map_err(database("look up a table"))?;
        let entry = entry(&row)?;
        write.commit().await?;
        Ok(entry)
    }

    async fn drop_table(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        let mut write = self.write(Durability::Full).await?;
        let gone = sqlx::query("DELETE FROM reference_tables WHERE tenant = $1 AND name = $2")
            .bind(tenant.as_str())
            .bind(name)
            .execute(write.sql())
            .await
            .map_err(database("drop a table"))?;
        write.commit().await?;
        Ok(gone.rows_affected() > 0)
    }

    async fn table_versions(&self, table: u32) -> Result<Vec<TableVersion>> {
        sqlx::query("SELECT * FROM table_versions WHERE table_id = $1 ORDER BY version")
            .bind(i64::from(table))
            .fetch_all(&self.readers)
            .await
            .map_err(database("list the versions of a table"))?
            .iter()
            .map(version)
            .collect()
    }

    async fn begin_table_version(
        &self,
        table: u32,
        begun: u64,
        rows: u64,
        bytes: u64,
    ) -> Result<TableVersion> {
        let mut write = self.write(Durability::Full).await?;
        let row = sqlx::query(
            "INSERT INTO table_versions (table_id, version, begun_offset, row_count, bytes, created_at)
             VALUES ($1, (SELECT coalesce(max(version), 0) + 1 FROM table_versions WHERE table_id = $1), $2, $3, $4, $5)
             RETURNING *",
        )
        .bind(i64::from(table))
        .bind(to_signed(begun))
        .bind(to_signed(rows))
        .bind(to_signed(bytes))
        .bind(self.now().micros())
        .fetch_one(write.sql())
        .await
        .map_err(database("note a version of a table"))?;
        let begun = version(&row)?;
        write.commit().await?;
        Ok(begun)
    }

    async fn finish_table_version(&self, table: u32, version: u32, offset: u64) -> Result<()> {
        let statement = "UPDATE table_versions SET log_offset = $3 WHERE table_id = $1 AND version = $2";
        let mut write = self.write(Durability::Full).await?;
        let found = sqlx::query(statement)
            .bind(i64::from(table))
            .bind(i64::from(version))
            .bind(to_signed(offset))
            .execute(write.sql())
            .await
            .map_err(database("note the record of a version"))?;
        write.commit().await?;
        match found.rows_affected() {
            0 => Err(MetaError::NotFound { kind: "version", name: format!("{version} of table {table}") }),
            _ => Ok(()),
        }
    }

    async fn forget_table_versions(&self, table: u32, version: u32) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("DELETE FROM table_versions WHERE table_id = $1 AND version < $2")
            .bind(i64::from(table))
            .bind(i64::from(version))
            .execute(write.sql())
            .await
            .map_err(database("forget versions of a table"))?;
        write.commit().await
    }
}

/// Whether a table has a name that a stream is to have.
pub(super) async fn is_table(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    name: &str,
) -> Result<bool> {
    let doing = "look up a name";
    let row = sqlx::query("SELECT count(*) AS found FROM reference_tables WHERE tenant = $1 AND name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(database(doing))?;
    let found: i64 = row.try_get("found").map_err(database(doing))?;
    Ok(found > 0)
}

fn entry(row: &SqliteRow) -> Result<TableEntry> {
    let columns = Columns { table: "reference_tables", row };
    Ok(TableEntry {
        id: columns.number("id")?,
        tenant: columns.word("tenant")?,
        name: columns.word("name")?,
        sql: columns.text("statement")?,
        created_at: columns.time("created_at")?,
    })
}

fn version(row: &SqliteRow) -> Result<TableVersion> {
    let columns = Columns { table: "table_versions", row };
    let offset = columns.signed_if("log_offset")?;
    Ok(TableVersion {
        version: columns.number("version")?,
        begun: columns.number("begun_offset")?,
        offset: offset.map(|_| columns.number("log_offset")).transpose()?,
        rows: columns.number("row_count")?,
        bytes: columns.number("bytes")?,
        created_at: columns.time("created_at")?,
    })
}
