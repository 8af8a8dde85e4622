//! Pipelines in SQLite.

use async_trait::async_trait;
use springhouse_model::{TenantId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::functions::forget_components;
use super::rows::{Columns, next_id, to_json, to_signed};
use super::{Durability, SqliteMeta, database};
use crate::{MetaError, NewPipeline, PipelineEntry, PipelineState, PipelineVersion, Pipelines, Result};

#[async_trait]
impl Pipelines for SqliteMeta {
    async fn pipelines(&self, tenant: Option<&TenantId>) -> Result<Vec<PipelineEntry>> {
        sqlx::query("SELECT * FROM pipelines WHERE (tenant = $1 OR $1 IS NULL) ORDER BY id")
            .bind(tenant.map(TenantId::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(database("list pipelines"))?
            .iter()
            .map(entry)
            .collect()
    }

    async fn pipeline(&self, tenant: &TenantId, name: &str) -> Result<Option<PipelineEntry>> {
        let mut reader = self.readers.acquire().await.map_err(database("look up a pipeline"))?;
        find(&mut reader, tenant, name).await
    }

    async fn create_pipeline(&self, new: NewPipeline) -> Result<PipelineEntry> {
        let mut write = self.write(Durability::Full).await?;
        if find(write.sql(), &new.tenant, &new.name).await?.is_some() {
            return Err(MetaError::Conflict { kind: "pipeline", name: new.name });
        }
        let entry = insert(write.sql(), new, self.now()).await?;
        write.commit().await?;
        Ok(entry)
    }

    async fn put_pipeline(&self, new: NewPipeline) -> Result<PipelineEntry> {
        let mut write = self.write(Durability::Full).await?;
        let entry = match find(write.sql(), &new.tenant, &new.name).await? {
            None => insert(write.sql(), new, self.now()).await?,
            Some(existing) => {
                let version = existing.version.saturating_add(1);
                sqlx::query(
                    "UPDATE pipelines SET kind = $2, version = $3, into_stream = $4, statement = $5, state = $6,
                     functions = $7 WHERE id = $1",
                )
                .bind(i64::try_from(existing.id).unwrap_or(i64::MAX))
                .bind(to_json(&new.kind)?)
                .bind(i64::from(version))
                .bind(new.into.as_str())
                .bind(&new.sql)
                .bind(to_json(&new.state)?)
                .bind(to_json(&new.functions)?)
                .execute(write.sql())
                .await
                .map_err(database("replace a pipeline"))?;
                let entry = find_existing(write.sql(), &new.tenant, &new.name).await?;
                note_version(write.sql(), &entry, self.now(), new.by.as_deref()).await?;
                entry
            }
        };
        write.commit().await?;
        Ok(entry)
    }

    async fn pipeline_versions(
        &self,
        tenant: &TenantId,
        name: &str,
        limit: u32,
    ) -> Result<Vec<PipelineVersion>> {
        sqlx::query(
            "SELECT v.* FROM pipeline_versions v JOIN pipelines p ON p.id = v.pipeline_id
             WHERE p.tenant = $1 AND p.name = $2 ORDER BY v.version DESC LIMIT $3",
        )
        .bind(tenant.as_str())
        .bind(name)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .map_err(database("list the versions of a pipeline"))?
        .iter()
        .map(version)
        .collect()
    }

    async fn pipeline_version(
        &self,
        tenant: &TenantId,
        name: &str,
        number: u32,
    ) -> Result<Option<PipelineVersion>> {
        let row = sqlx::query(
            "SELECT v.* FROM pipeline_versions v JOIN pipelines p ON p.id = v.pipeline_id
             WHERE p.tenant = $1 AND p.name = $2 AND v.version = $3",
        )
        .bind(tenant.as_str())
        .bind(name)
        .bind(i64::from(number))
        .fetch_optional(&self.readers)
        .await
        .map_err(database("look up a version of a pipeline"))?;
        row.as_ref().map(version).transpose()
    }

    async fn set_pipeline_state(
        &self,
        tenant: &TenantId,
        name: &str,
        state: PipelineState,
    ) -> Result<PipelineEntry> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("UPDATE pipelines SET state = $3 WHERE tenant = $1 AND name = $2")
            .bind(tenant.as_str())
            .bind(name)
            .bind(to_json(&state)?)
            .execute(write.sql())
            .await
            .map_err(database("change a pipeline"))?;
        let entry = find_existing(write.sql(), tenant, name).await?;
        write.commit().await?;
        Ok(entry)
    }

    async fn drop_pipeline(&self, tenant: &TenantId, name: &str) -> Result<bool> {
        let mut write = self.write(Durability::Full).await?;
        let gone = sqlx::query("DELETE FROM pipelines WHERE tenant = $1 AND name = $2")
            .bind(tenant.as_str())
            .bind(name)
            .execute(write.sql())
            .await
            .map_err(database("drop a pipeline"))?;
        forget_components(write.sql(), tenant).await?;
        write.commit().await?;
        Ok(gone.rows_affected() > 0)
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    new: NewPipeline,
    created_at: Timestamp,
) -> Result<PipelineEntry> {
    let id = next_id(connection, "pipeline").await?;
    sqlx::query(
        "INSERT INTO pipelines (id, tenant, name, kind, version, into_stream, statement, state, created_at,
         functions) VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(new.tenant.as_str())
    .bind(&new.name)
    .bind(to_json(&new.kind)?)
    .bind(new.into.as_str())
    .bind(&new.sql)
    .bind(to_json(&new.state)?)
    .bind(created_at.micros())
    .bind(to_json(&new.functions)?)
    .execute(&mut *connection)
    .await
    .map_err(database("create a pipeline"))?;
    let entry = find_existing(connection, &new.tenant, &new.name).await?;
    note_version(connection, &entry, created_at, new.by.as_deref()).await?;
    Ok(entry)
}

/// Keeps the statement that a pipeline has, in the transaction that gave it.
async fn note_version(
    connection: &mut SqliteConnection,
    entry: &PipelineEntry,
    created_at: Timestamp,
    by: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO pipeline_versions (pipeline_id, version, statement, created_at, created_by, functions)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(to_signed(entry.id))
    .bind(i64::from(entry.version))
    .bind(&entry.sql)
    .bind(created_at.micros())
    .bind(by)
    .bind(to_json(&entry.functions)?)
    .execute(connection)
    .await
    .map_err(database("keep a version of a pipeline"))?;
    Ok(())
}

async fn find(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<PipelineEntry>> {
    let row = sqlx::query("SELECT * FROM pipelines WHERE tenant = $1 AND name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(database("look up a pipeline"))?;
    row.as_ref().map(entry).transpose()
}

async fn find_existing(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    name: &str,
) -> Result<PipelineEntry> {
    let found = find(connection, tenant, name).await?;
    found.ok_or_else(|| MetaError::NotFound { kind: "pipeline", name: name.to_owned() })
}

fn entry(row: &SqliteRow) -> Result<PipelineEntry> {
    let columns = Columns { table: "pipelines", row };
    Ok(PipelineEntry {
        id: columns.number("id")?,
        tenant: columns.word("tenant")?,
        name: columns.text("name")?,
        kind: columns.json("kind")?,
        version: columns.number("version")?,
        into: columns.word("into_stream")?,
        sql: columns.text("statement")?,
        functions: columns.json_or_default("functions")?,
        state: columns.json("state")?,
        created_at: columns.time("created_at")?,
    })
}

fn version(row: &SqliteRow) -> Result<PipelineVersion> {
    let columns = Columns { table: "pipeline_versions", row };
    Ok(PipelineVersion {
        version: columns.number("version")?,
        sql: columns.text("statement")?,
        functions: columns.json_or_default("functions")?,
        created_at: columns.time("created_at")?,
        by: columns.text_if("created_by")?,
    })
}
