//! Streams and schemas in SQLite.

use async_trait::async_trait;
use springhouse_model::{StreamKey, TenantId};
use springhouse_schema::Schema;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::rows::{Columns, next_id, to_json};
use super::tables::is_table;
use super::{Durability, SqliteMeta, database};
use crate::{Approval, MetaError, NewStream, Result, StreamEntry, Streams};

/// Every stream with its latest schema; the caller adds the condition.
macro_rules! select_streams {
    ($condition:literal) => {
        concat!(
            "SELECT s.id, s.tenant, s.name, s.state, s.origin, s.watermark_delay_us, s.idle_us, s.retention_us,
                    s.statement, s.created_at, v.body
             FROM streams s JOIN schemas v ON v.stream_id = s.id
             WHERE v.version = (SELECT max(version) FROM schemas WHERE stream_id = s.id) AND ",
            $condition,
            " ORDER BY s.id"
        )
    };
}

#[async_trait]
impl Streams for SqliteMeta {
    async fn streams(&self, tenant: Option<&TenantId>) -> Result<Vec<StreamEntry>> {
        sqlx::query(select_streams!("(s.tenant = $1 OR $1 IS NULL)"))
            .bind(tenant.map(TenantId::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(database("list streams"))?
            .iter()
            .map(entry)
            .collect()
    }

    async fn stream(&self, key: &StreamKey) -> Result<Option<StreamEntry>> {
        let mut reader = self.readers.acquire().await.map_err(database("look up a stream"))?;
        find(&mut reader, key).await
    }

    async fn highest_stream(&self) -> Result<u32> {
        let doing = "look up the numbers of streams";
        let row = sqlx::query("SELECT next - 1 AS given FROM sequences WHERE name = 'stream'")
            .fetch_one(&self.readers)
            .await
            .map_err(database(doing))?;
        let given: i64 = row.try_get("given").map_err(database(doing))?;
        u32::try_from(given).map_err(|_| MetaError::Corrupt {
            table: "sequences",
            expected: "a number of 32 bits",
            value: given.to_string(),
        })
    }

    async fn create_stream(&self, stream: NewStream) -> Result<StreamEntry> {
        let mut write = self.write(Durability::Full).await?;
        if let Some(existing) = find(write.sql(), &stream.key).await? {
            return Ok(existing);
        }
        if is_table(write.sql(), &stream.key.tenant, stream.key.name.as_str()).await? {
            return Err(MetaError::Conflict { kind: "table", name: stream.key.name.to_string() });
        }
        let id = next_id(write.sql(), "stream").await?;
        sqlx::query(
            "INSERT INTO streams (id, tenant, name, state, origin, watermark_delay_us, idle_us, retention_us,
                                  statement, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(id)
        .bind(stream.key.tenant.as_str())
        .bind(stream.key.name.as_str())
        .bind(stream.state.as_str())
        .bind(to_json(&stream.origin)?)
        .bind(stream.watermark_delay_us)
        .bind(stream.idle_us)
        .bind(stream.retention_us)
        .bind(&stream.sql)
        .bind(self.now().micros())
        .execute(write.sql())
        .await
        .map_err(database("create a stream"))?;
        let first = Schema { version: 1, ..stream.schema };
        self.insert_schema(write.sql(), id, &first).await?;
        let entry = find_existing(write.sql(), &stream.key).await?;
        write.commit().await?;
        Ok(entry)
    }

    async fn put_schema(&self, key: &StreamKey, schema: &Schema) -> Result<StreamEntry> {
        let mut write = self.write(Durability::Full).await?;
        let entry = find_existing(write.sql(), key).await?;
        let latest = entry.schema.version;
        if schema.version == latest && to_json(schema)? == to_json(&entry.schema)? {
            return Ok(entry);
        }
        if schema.version != latest + 1 {
            return Err(MetaError::Conflict {
                kind: "schema",
                name: format!("{key} version {}", schema.version),
            });
        }
        self.insert_schema(write.sql(), i64::from(entry.id), schema).await?;
        write.commit().await?;
        Ok(StreamEntry { schema: schema.clone(), ..entry })
    }

    async fn schemas(&self, key: &StreamKey) -> Result<Vec<Schema>> {
        sqlx::query(
            "SELECT v.body FROM schemas v JOIN streams s ON s.id = v.stream_id
             WHERE s.tenant = $1 AND s.name = $2 ORDER BY v.version",
        )
        .bind(key.tenant.as_str())
        .bind(key.name.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(database("list schemas"))?
        .iter()
        .map(|row| Columns { table: "schemas", row }.json("body"))
        .collect()
    }

    async fn set_stream_state(&self, key: &StreamKey, state: Approval) -> Result<StreamEntry> {
        let update = sqlx::query("UPDATE streams SET state = $3 WHERE tenant = $1 AND name = $2")
            .bind(key.tenant.to_string())
            .bind(key.name.to_string())
            .bind(state.as_str());
        self.update_stream(key, update).await
    }

    async fn set_stream_timing(
        &self,
        key: &StreamKey,
        watermark_delay_us: i64,
        idle_us: Option<i64>,
    ) -> Result<StreamEntry> {
        let update = sqlx::query(
            "UPDATE streams SET watermark_delay_us = $3, idle_us = $4 WHERE tenant = $1 AND name = $2",
        )
        .bind(key.tenant.to_string())
        .bind(key.name.to_string())
        .bind(watermark_delay_us)
        .bind(idle_us);
        self.update_stream(key, update).await
    }

    async fn set_stream_retention(&self, key: &StreamKey, retention_us: Option<i64>) -> Result<StreamEntry> {
        let update = sqlx::query("UPDATE streams SET retention_us = $3 WHERE tenant = $1 AND name = $2")
            .bind(key.tenant.to_string())
            .bind(key.name.to_string())
            .bind(retention_us);
        self.update_stream(key, update).await
    }

    async fn drop_stream(&self, key: &StreamKey) -> Result<bool> {
        let mut write = self.write(Durability::Full).await?;
        let gone = sqlx::query("DELETE FROM streams WHERE tenant = $1 AND name = $2")
            .bind(key.tenant.as_str())
            .bind(key.name.as_str())
            .execute(write.sql())
            .await
            .map_err(database("drop a stream"))?;
        write.commit().await?;
        Ok(gone.rows_affected() > 0)
    }
}

type Update = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl SqliteMeta {
    async fn update_stream(&self, key: &StreamKey, update: Update) -> Result<StreamEntry> {
        let mut write = self.write(Durability::Full).await?;
        update.execute(write.sql()).await.map_err(database("change a stream"))?;
        let entry = find_existing(write.sql(), key).await?;
        write.commit().await?;
        Ok(entry)
    }

    async fn insert_schema(&self, connection: &mut SqliteConnection, id: i64, schema: &Schema) -> Result<()> {
        sqlx::query("INSERT INTO schemas (stream_id, version, body, created_at) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(i64::from(schema.version))
            .bind(to_json(schema)?)
            .bind(self.now().micros())
            .execute(connection)
            .await
            .map_err(database("store a schema"))?;
        Ok(())
    }
}

async fn find(connection: &mut SqliteConnection, key: &StreamKey) -> Result<Option<StreamEntry>> {
    let row = sqlx::query(select_streams!("s.tenant = $1 AND s.name = $2"))
        .bind(key.tenant.as_str())
        .bind(key.name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(database("look up a stream"))?;
    row.as_ref().map(entry).transpose()
}

async fn find_existing(connection: &mut SqliteConnection, key: &StreamKey) -> Result<StreamEntry> {
    let found = find(connection, key).await?;
    found.ok_or_else(|| MetaError::NotFound { kind: "stream", name: key.name.to_string() })
}

fn entry(row: &SqliteRow) -> Result<StreamEntry> {
    let columns = Columns { table: "streams", row };
    Ok(StreamEntry {
        id: columns.number("id")?,
        key: StreamKey::new(columns.word("tenant")?, columns.word("name")?),
        state: columns.word("state")?,
        origin: columns.json("origin")?,
        schema: columns.json("body")?,
        watermark_delay_us: columns.signed("watermark_delay_us")?,
        idle_us: columns.signed_if("idle_us")?,
        retention_us: columns.signed_if("retention_us")?,
        sql: columns.text_if("statement")?,
        created_at: columns.time("created_at")?,
    })
}
