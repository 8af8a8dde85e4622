//! Functions in SQLite.

use async_trait::async_trait;
use springhouse_model::TenantId;
use sqlx::sqlite::SqliteRow;

use super::rows::Columns;
use super::{Durability, SqliteMeta, database};
use crate::{FunctionEntry, Functions, NewFunction, Result};

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
        let row = sqlx::query(
            "INSERT INTO functions (tenant, name, version, statement, created_at, changed_at, changed_by)
             VALUES ($1, $2, 1, $3, $4, $4, $5)
             ON CONFLICT (tenant, name) DO UPDATE SET version = functions.version + 1, statement = excluded.statement,
             changed_at = excluded.changed_at, changed_by = excluded.changed_by RETURNING *",
        )
        .bind(new.tenant.as_str())
        .bind(&new.name)
        .bind(&new.sql)
        .bind(self.now().micros())
        .bind(&new.by)
        .fetch_one(write.sql())
        .await
        .map_err(database("create a function"))?;
        let entry = entry(&row)?;
        write.commit().await?;
        Ok(entry)
    }

    async fn drop_function(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        let mut write = self.write(Durability::Full).await?;
        let gone = sqlx::query("DELETE FROM functions WHERE tenant = $1 AND name = $2")
            .bind(tenant.as_str())
            .bind(name)
            .execute(write.sql())
            .await
            .map_err(database("drop a function"))?;
        write.commit().await?;
        Ok(gone.rows_affected() > 0)
    }
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
