//! Functions in SQLite.

use async_trait::async_trait;
use springhouse_model::{TenantId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::Columns;
use super::{Durability, SqliteMeta, database};
use crate::{FunctionEntry, Functions, NewComponent, NewFunction, Result};

#[async_trait]
impl Functions for SqliteMeta {
    async fn functions(&self, tenant: Option<&TenantId>) -> Result<Vec<FunctionEntry>> {
        sqlx::query("SELECT * FROM functions WHERE (tenant = $1 OR $1 IS NULL) ORDER BY tenant, name")
            .bind(tenant.map(TenantId::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(database("list functions"))?
            .iter()
            .map(entry)
            .collect()
    }

    async fn put_function(&self, new: NewFunction) -> Result<FunctionEntry> {
        let mut write = self.write(Durability::Full).await?;
        let entry = put(write.sql(), &new, self.now()).await?;
        forget_components(write.sql(), &new.tenant).await?;
        write.commit().await?;
        Ok(entry)
    }

    async fn put_component(
        &self,
        component: NewComponent,
        functions: Vec<NewFunction>,
    ) -> Result<Vec<FunctionEntry>> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query(
            "INSERT INTO components (tenant, sha256, bytes) VALUES ($1, $2, $3) ON CONFLICT (tenant, sha256) DO NOTHING",
        )
        .bind(component.tenant.as_str())
        .bind(&component.sha256)
        .bind(&component.bytes)
        .execute(write.sql())
        .await
        .map_err(database("keep a component"))?;
        let mut entries = Vec::new();
        for new in &functions {
            entries.push(put(write.sql(), new, self.now()).await?);
        }
        forget_components(write.sql(), &component.tenant).await?;
        write.commit().await?;
        Ok(entries)
    }

    async fn component(&self, tenant: &TenantId, sha256: &str) -> Result<Option<Vec<u8>>> {
        sqlx::query("SELECT bytes FROM components WHERE tenant = $1 AND sha256 = $2")
            .bind(tenant.as_str())
            .bind(sha256)
            .fetch_optional(&self.readers)
            .await
            .map_err(database("read a component"))?
            .map(|row| Columns { table: "components", row: &row }.bytes("bytes"))
            .transpose()
    }

    async fn drop_function(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        let mut write = self.write(Durability::Full).await?;
        let gone = sqlx::query("DELETE FROM functions WHERE tenant = $1 AND name = $2")
            .bind(tenant.as_str())
            .bind(name)
            .execute(write.sql())
            .await
            .map_err(database("drop a function"))?;
        forget_components(write.sql(), tenant).await?;
        write.commit().await?;
        Ok(gone.rows_affected() > 0)
    }
}

async fn put(connection: &mut SqliteConnection, new: &NewFunction, at: Timestamp) -> Result<FunctionEntry> {
    let row = sqlx::query(
        "INSERT INTO functions (tenant, name, version, statement, created_at, changed_at, changed_by)
         VALUES ($1, $2, 1, $3, $4, $4, $5)
         ON CONFLICT (tenant, name) DO UPDATE SET version = functions.version + 1, statement = excluded.statement,
         changed_at = excluded.changed_at, changed_by = excluded.changed_by RETURNING *",
    )
    .bind(new.tenant.as_str())
    .bind(&new.name)
    .bind(&new.sql)
    .bind(at.micros())
    .bind(&new.by)
    .fetch_one(connection)
    .await
    .map_err(database("create a function"))?;
    entry(&row)
}

/// Drops the components that nothing names any more. A definition holds the digits of the SHA-256, which nothing else does.
pub(super) async fn forget_components(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<()> {
    sqlx::query(
        "DELETE FROM components AS c WHERE c.tenant = $1
         AND NOT EXISTS (SELECT 1 FROM functions AS f WHERE f.tenant = c.tenant AND instr(f.statement, c.sha256) > 0)
         AND NOT EXISTS (SELECT 1 FROM pipelines AS p WHERE p.tenant = c.tenant AND instr(p.functions, c.sha256) > 0)
         AND NOT EXISTS (SELECT 1 FROM pipeline_versions AS v JOIN pipelines AS p ON p.id = v.pipeline_id
                         WHERE p.tenant = c.tenant AND instr(v.functions, c.sha256) > 0)",
    )
    .bind(tenant.as_str())
    .execute(connection)
    .await
    .map_err(database("forget components"))?;
    Ok(())
}

fn entry(row: &SqliteRow) -> Result<FunctionEntry> {
    let columns = Columns { table: "functions", row };
    Ok(FunctionEntry {
        tenant: columns.word("tenant")?,
        name: columns.text("name")?,
        version: columns.number("version")?,
        sql: columns.text("statement")?,
        created_at: columns.time("created_at")?,
        changed_at: columns.time("changed_at")?,
        by: columns.text_if("changed_by")?,
    })
}
