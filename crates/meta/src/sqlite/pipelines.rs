//! Pipelines in SQLite.

use async_trait::async_trait;
use springhouse_model::{TenantId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, next_id, to_json};
use super::{Durability, SqliteMeta, database};
use crate::{MetaError, NewPipeline, PipelineEntry, PipelineState, Pipelines, Result};

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
                let version = existing.version + u32::from(existing.sql != new.sql);
                sqlx::query(
                    "UPDATE pipelines SET kind = $2, version = $3, into_stream = $4, statement = $5, state = $6
                     WHERE id = $1",
                )
                .bind(i64::try_from(existing.id).unwrap_or(i64::MAX))
                .bind(to_json(&new.kind)?)
                .bind(i64::from(version))
                .bind(new.into.as_str())
                .bind(&new.sql)
                .bind(to_json(&new.state)?)
                .execute(write.sql())
                .await
                .map_err(database("replace a pipeline"))?;
                find_existing(write.sql(), &new.tenant, &new.name).await?
            }
        };
        write.commit().await?;
        Ok(entry)
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
        "INSERT INTO pipelines (id, tenant, name, kind, version, into_stream, statement, state, created_at)
         VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(new.tenant.as_str())
    .bind(&new.name)
    .bind(to_json(&new.kind)?)
    .bind(new.into.as_str())
    .bind(&new.sql)
    .bind(to_json(&new.state)?)
    .bind(created_at.micros())
    .execute(&mut *connection)
    .await
    .map_err(database("create a pipeline"))?;
    find_existing(connection, &new.tenant, &new.name).await
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
        state: columns.json("state")?,
        created_at: columns.time("created_at")?,
    })
}
