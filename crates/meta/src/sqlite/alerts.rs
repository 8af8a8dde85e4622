//! Alert events in SQLite.

use async_trait::async_trait;
use springhouse_model::TenantId;
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, move_consumer, to_json};
use super::{Durability, SqliteMeta, database};
use crate::{AlertCount, AlertEvent, AlertFilter, Alerts, Commit, MetaError, Result};

#[async_trait]
impl Alerts for SqliteMeta {
    async fn record_alerts(&self, events: &[AlertEvent], commit: Commit<'_>) -> Result<Vec<String>> {
        let mut write = self.write(Durability::Full).await?;
        let mut recorded = Vec::new();
        for event in events {
            let inserted = sqlx::query(
                "INSERT INTO alerts (tenant, id, alert, severity, alert_key, at, body, acknowledged_at,
                                     acknowledged_by)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, id) DO NOTHING",
            )
            .bind(event.tenant.as_str())
            .bind(&event.id)
            .bind(&event.alert)
            .bind(event.severity.as_str())
            .bind(&event.key)
            .bind(event.at.micros())
            .bind(to_json(&event.row)?)
            .bind(event.acknowledged_at.map(|time| time.micros()))
            .bind(&event.acknowledged_by)
            .execute(write.sql())
            .await
            .map_err(database("record an alert"))?;
            if inserted.rows_affected() > 0 {
                recorded.push(event.id.clone());
            }
        }
        move_consumer(write.sql(), commit).await?;
        write.commit().await?;
        Ok(recorded)
    }

    async fn alerts(&self, tenant: &TenantId, filter: &AlertFilter, limit: u32) -> Result<Vec<AlertEvent>> {
        sqlx::query(
            "SELECT * FROM alerts
             WHERE tenant = $1 AND (alert = $2 OR $2 IS NULL) AND (at < $3 OR $3 IS NULL)
               AND ($4 = 0 OR acknowledged_at IS NULL)
             ORDER BY at DESC, id DESC LIMIT $5",
        )
        .bind(tenant.as_str())
        .bind(filter.alert.as_deref())
        .bind(filter.before.map(|time| time.micros()))
        .bind(i64::from(filter.open))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .map_err(database("list alerts"))?
        .iter()
        .map(event)
        .collect()
    }

    async fn alert_counts(&self, tenant: &TenantId) -> Result<Vec<AlertCount>> {
        sqlx::query(
            "SELECT alert, count(*) AS fired, count(*) - count(acknowledged_at) AS open, max(at) AS last_at
             FROM alerts WHERE tenant = $1 GROUP BY alert ORDER BY alert",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(database("count alerts"))?
        .iter()
        .map(|row| {
            let columns = Columns { table: "alerts", row };
            Ok(AlertCount {
                alert: columns.text("alert")?,
                fired: columns.number("fired")?,
                open: columns.number("open")?,
                last_at: columns.time("last_at")?,
            })
        })
        .collect()
    }

    async fn acknowledge_alert(&self, tenant: &TenantId, id: &str, by: &str) -> Result<AlertEvent> {
        let doing = "acknowledge an alert";
        let mut write = self.write(Durability::Full).await?;
        sqlx::query(
            "UPDATE alerts SET acknowledged_at = $3, acknowledged_by = $4
             WHERE tenant = $1 AND id = $2 AND acknowledged_at IS NULL",
        )
        .bind(tenant.as_str())
        .bind(id)
        .bind(self.now().micros())
        .bind(by)
        .execute(write.sql())
        .await
        .map_err(database(doing))?;
        let row = sqlx::query("SELECT * FROM alerts WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(id)
            .fetch_optional(write.sql())
            .await
            .map_err(database(doing))?;
        let Some(row) = row else {
            return Err(MetaError::NotFound { kind: "alert", name: id.to_owned() });
        };
        write.commit().await?;
        event(&row)
    }
}

fn event(row: &SqliteRow) -> Result<AlertEvent> {
    let columns = Columns { table: "alerts", row };
    Ok(AlertEvent {
        id: columns.text("id")?,
        tenant: columns.word("tenant")?,
        alert: columns.text("alert")?,
        severity: columns.word("severity")?,
        key: columns.text("alert_key")?,
        at: columns.time("at")?,
        row: columns.json("body")?,
        acknowledged_at: columns.time_if("acknowledged_at")?,
        acknowledged_by: columns.text_if("acknowledged_by")?,
    })
}
