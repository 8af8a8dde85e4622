//! Last values in SQLite.

use async_trait::async_trait;
use springhouse_model::{StreamName, TenantId};
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, move_consumer, to_json, to_signed};
use super::{Durability, SqliteMeta, database};
use crate::{Commit, Result, TwinRow, TwinRows};

#[async_trait]
impl TwinRows for SqliteMeta {
    async fn twin_put(&self, rows: &[TwinRow], commit: Commit<'_>) -> Result<()> {
        let mut write = self.write(Durability::Replayed).await?;
        for row in rows {
            sqlx::query(
                "INSERT INTO twin (tenant, device, stream, property, value, ts, log_offset)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (tenant, device, stream, property)
                 DO UPDATE SET value = excluded.value, ts = excluded.ts, log_offset = excluded.log_offset",
            )
            .bind(row.tenant.as_str())
            .bind(row.device.as_str())
            .bind(row.stream.as_str())
            .bind(&row.property)
            .bind(to_json(&row.value)?)
            .bind(row.ts.micros())
            .bind(to_signed(row.offset))
            .execute(write.sql())
            .await
            .map_err(database("write last values"))?;
        }
        move_consumer(write.sql(), commit).await?;
        write.commit().await
    }

    async fn twin_load(&self) -> Result<Vec<TwinRow>> {
        sqlx::query("SELECT * FROM twin ORDER BY tenant, device, stream, property")
            .fetch_all(&self.readers)
            .await
            .map_err(database("load last values"))?
            .iter()
            .map(twin_row)
            .collect()
    }

    async fn twin_forget(&self, tenant: &TenantId, stream: &StreamName) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("DELETE FROM twin WHERE tenant = $1 AND stream = $2")
            .bind(tenant.as_str())
            .bind(stream.as_str())
            .execute(write.sql())
            .await
            .map_err(database("forget last values"))?;
        write.commit().await
    }
}

fn twin_row(row: &SqliteRow) -> Result<TwinRow> {
    let columns = Columns { table: "twin", row };
    Ok(TwinRow {
        tenant: columns.word("tenant")?,
        device: columns.word("device")?,
        stream: columns.word("stream")?,
        property: columns.text("property")?,
        value: columns.json("value")?,
        ts: columns.time("ts")?,
        offset: columns.number("log_offset")?,
    })
}
