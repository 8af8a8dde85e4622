//! The quarantine in SQLite.

use async_trait::async_trait;
use springhouse_model::{DeviceId, SiteId, StreamName, TenantId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, move_consumer, to_json};
use super::{Durability, SqliteMeta, database};
use crate::quarantine::QUARANTINED_BYTES_MIN;
use crate::{Commit, Quarantine, QuarantineCount, QuarantineFilter, QuarantinedMessage, Result, Trimmed};

/// `$1` to `$7` as [`bind_filter`] binds them; ids come as a JSON array of strings.
macro_rules! matching {
    ($head:literal, $tail:literal) => {
        concat!(
            $head,
            " WHERE tenant = $1 AND (stream = $2 OR $2 IS NULL) AND (device = $3 OR $3 IS NULL)
                AND (reason = $4 OR $4 IS NULL) AND (received < $5 OR $5 IS NULL)
                AND ($6 = 1 OR replayed_at IS NULL)
                AND ($7 IS NULL OR id IN (SELECT value FROM json_each($7))) ",
            $tail
        )
    };
}

#[async_trait]
impl Quarantine for SqliteMeta {
    async fn quarantine_put(&self, messages: &[QuarantinedMessage], commit: Commit<'_>) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        for message in messages {
            sqlx::query(
                "INSERT INTO quarantine (tenant, id, site, stream, device, received, reason, detail, payload,
                                         topic, replayed_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (tenant, id) DO NOTHING",
            )
            .bind(message.tenant.as_str())
            .bind(&message.id)
            .bind(message.site.as_ref().map(SiteId::as_str))
            .bind(message.stream.as_ref().map(StreamName::as_str))
            .bind(message.device.as_ref().map(DeviceId::as_str))
            .bind(message.received.micros())
            .bind(&message.reason)
            .bind(&message.detail)
            .bind(&message.payload)
            .bind(&message.topic)
            .bind(message.replayed_at.map(|time| time.micros()))
            .execute(write.sql())
            .await
            .map_err(database("put a message into quarantine"))?;
        }
        move_consumer(write.sql(), commit).await?;
        write.commit().await
    }

    async fn quarantine_list(
        &self,
        tenant: &TenantId,
        filter: &QuarantineFilter,
        limit: u32,
    ) -> Result<Vec<QuarantinedMessage>> {
        let text = matching!("SELECT * FROM quarantine", "ORDER BY received DESC, id DESC LIMIT $8");
        bind_filter(sqlx::query(text), tenant, filter)?
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await
            .map_err(database("list the quarantine"))?
            .iter()
            .map(message)
            .collect()
    }

    async fn quarantine_counts(&self, tenant: &TenantId) -> Result<Vec<QuarantineCount>> {
        sqlx::query(
            "SELECT stream, reason, count(*) AS waiting FROM quarantine
             WHERE tenant = $1 AND replayed_at IS NULL GROUP BY stream, reason ORDER BY stream, reason",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(database("count the quarantine"))?
        .iter()
        .map(|row| {
            let columns = Columns { table: "quarantine", row };
            Ok(QuarantineCount {
                stream: columns.word_if("stream")?,
                reason: columns.text("reason")?,
                count: columns.number("waiting")?,
            })
        })
        .collect()
    }

    async fn quarantine_get(&self, tenant: &TenantId, ids: &[String]) -> Result<Vec<QuarantinedMessage>> {
        let filter =
            QuarantineFilter { ids: Some(ids.to_vec()), with_replayed: true, ..QuarantineFilter::default() };
        self.quarantine_list(tenant, &filter, u32::MAX).await
    }

    async fn quarantine_mark_replayed(&self, tenant: &TenantId, ids: &[String]) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        for id in ids {
            sqlx::query(
                "UPDATE quarantine SET replayed_at = $3 WHERE tenant = $1 AND id = $2 AND replayed_at IS NULL",
            )
            .bind(tenant.as_str())
            .bind(id)
            .bind(self.now().micros())
            .execute(write.sql())
            .await
            .map_err(database("mark messages as replayed"))?;
        }
        write.commit().await
    }

    async fn quarantine_purge(&self, tenant: &TenantId, filter: &QuarantineFilter) -> Result<u64> {
        let mut write = self.write(Durability::Full).await?;
        let gone = bind_filter(sqlx::query(matching!("DELETE FROM quarantine", "")), tenant, filter)?
            .execute(write.sql())
            .await
            .map_err(database("purge the quarantine"))?;
        write.commit().await?;
        Ok(gone.rows_affected())
    }

    async fn quarantine_trim(&self, tenant: &TenantId, bytes_max: u64) -> Result<Trimmed> {
        let mut write = self.write(Durability::Full).await?;
        let bytes = bytes_of(write.sql(), tenant).await?;
        if bytes <= bytes_max {
            return Ok(Trimmed { deleted: 0, bytes_left: bytes });
        }
        let gone = sqlx::query(
            "DELETE FROM quarantine WHERE tenant = $1 AND id IN
             (SELECT id FROM (SELECT id, SUM(length(payload) + $2) OVER (ORDER BY received DESC, id DESC) AS bytes
                              FROM quarantine WHERE tenant = $1) AS newest WHERE bytes > $3)",
        )
        .bind(tenant.as_str())
        .bind(number(QUARANTINED_BYTES_MIN))
        .bind(number(bytes_max / 10 * 9))
        .execute(write.sql())
        .await
        .map_err(database("trim the quarantine"))?;
        let bytes_left = bytes_of(write.sql(), tenant).await?;
        write.commit().await?;
        Ok(Trimmed { deleted: gone.rows_affected(), bytes_left })
    }
}

async fn bytes_of(connection: &mut SqliteConnection, tenant: &TenantId) -> Result<u64> {
    let row = sqlx::query(
        "SELECT COALESCE(SUM(length(payload) + $2), 0) AS bytes FROM quarantine WHERE tenant = $1",
    )
    .bind(tenant.as_str())
    .bind(number(QUARANTINED_BYTES_MIN))
    .fetch_one(connection)
    .await
    .map_err(database("measure the quarantine"))?;
    Columns { table: "quarantine", row: &row }.number("bytes")
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind_filter<'q>(
    query: Query<'q>,
    tenant: &'q TenantId,
    filter: &'q QuarantineFilter,
) -> Result<Query<'q>> {
    Ok(query
        .bind(tenant.as_str())
        .bind(filter.stream.as_ref().map(StreamName::as_str))
        .bind(filter.device.as_ref().map(DeviceId::as_str))
        .bind(filter.reason.as_deref())
        .bind(filter.before.map(|time| time.micros()))
        .bind(i64::from(filter.with_replayed))
        .bind(filter.ids.as_ref().map(to_json).transpose()?))
}

fn message(row: &SqliteRow) -> Result<QuarantinedMessage> {
    let columns = Columns { table: "quarantine", row };
    Ok(QuarantinedMessage {
        id: columns.text("id")?,
        tenant: columns.word("tenant")?,
        site: columns.word_if("site")?,
        stream: columns.word_if("stream")?,
        device: columns.word_if("device")?,
        received: columns.time("received")?,
        reason: columns.text("reason")?,
        detail: columns.text("detail")?,
        payload: columns.bytes("payload")?,
        topic: columns.text("topic")?,
        replayed_at: columns.time_if("replayed_at")?,
    })
}
