//! Alert events in SQLite.

use async_trait::async_trait;
use springhouse_model::{Severity, TenantId};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection};

use super::rows::{Columns, move_consumer, to_json, to_signed};
use super::{Durability, SqliteMeta, database};
use crate::{AlertCount, AlertEvent, AlertFilter, Alerts, Commit, MetaError, Result};

#[async_trait]
impl Alerts for SqliteMeta {
    async fn record_alerts(&self, events: &[AlertEvent], commit: Commit<'_>) -> Result<Vec<String>> {
        let mut write = self.write(Durability::Full).await?;
        let mut recorded = Vec::new();
        for event in events {
            let is_there = match event.resolved_at {
                None => insert(write.sql(), event).await?,
                Some(_) => complete(write.sql(), event).await?,
            };
            if is_there {
                recorded.push(event.id.clone());
            }
            if let (true, Some((_, read_to))) = (event.is_firing(), commit) {
                end_forgotten(write.sql(), event, read_to).await?;
            }
        }
        move_consumer(write.sql(), commit).await?;
        write.commit().await?;
        Ok(recorded)
    }

    async fn end_alerts(&self, tenant: &TenantId, alert: &str, before: u64, note: &str) -> Result<u64> {
        let doing = "end what an alert has fired";
        let mut write = self.write(Durability::Full).await?;
        let now = self.now().micros();
        sqlx::query(
            "INSERT INTO alert_ends (tenant, alert, before_offset, at, note) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant, alert) DO UPDATE
             SET before_offset = excluded.before_offset, at = excluded.at, note = excluded.note",
        )
        .bind(tenant.as_str())
        .bind(alert)
        .bind(to_signed(before))
        .bind(now)
        .bind(note)
        .execute(write.sql())
        .await
        .map_err(database(doing))?;
        let ended = sqlx::query(
            "UPDATE alerts SET resolved_at = CASE WHEN at > $3 THEN at ELSE $3 END, note = $4
             WHERE tenant = $1 AND alert = $2 AND times IS NOT NULL AND resolved_at IS NULL",
        )
        .bind(tenant.as_str())
        .bind(alert)
        .bind(now)
        .bind(note)
        .execute(write.sql())
        .await
        .map_err(database(doing))?;
        write.commit().await?;
        Ok(ended.rows_affected())
    }

    async fn alerts(&self, tenant: &TenantId, filter: &AlertFilter, limit: u32) -> Result<Vec<AlertEvent>> {
        sqlx::query(
            "SELECT * FROM alerts
             WHERE tenant = $1 AND (alert = $2 OR $2 IS NULL) AND (at < $3 OR $3 IS NULL)
               AND ($4 = 0 OR acknowledged_at IS NULL)
               AND ($5 = 0 OR (times IS NOT NULL AND resolved_at IS NULL))
             ORDER BY at DESC, id DESC LIMIT $6",
        )
        .bind(tenant.as_str())
        .bind(filter.alert.as_deref())
        .bind(filter.before.map(|time| time.micros()))
        .bind(i64::from(filter.open))
        .bind(i64::from(filter.firing))
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
            "SELECT alert, count(*) AS fired, count(*) - count(acknowledged_at) AS open,
                    count(CASE WHEN times IS NOT NULL AND resolved_at IS NULL THEN 1 END) AS firing, max(at) AS last_at
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
                firing: columns.number("firing")?,
                last_at: columns.time("last_at")?,
            })
        })
        .collect()
    }

    async fn alerts_firing(&self) -> Result<Vec<(Severity, u64)>> {
        sqlx::query(
            "SELECT severity, count(*) AS firing FROM alerts
             WHERE times IS NOT NULL AND resolved_at IS NULL GROUP BY severity",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(database("count what is firing"))?
        .iter()
        .map(|row| {
            let columns = Columns { table: "alerts", row };
            Ok((columns.word("severity")?, columns.number("firing")?))
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

/// Whether it was not there. One that was over in the moment in which it began is open again: for its key there is no
/// other name.
async fn insert(connection: &mut SqliteConnection, event: &AlertEvent) -> Result<bool> {
    let inserted = bound(
        "INSERT INTO alerts (tenant, id, alert, severity, alert_key, at, body, resolved_at, times, note,
                             acknowledged_at, acknowledged_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (tenant, id) DO UPDATE SET resolved_at = NULL, times = excluded.times
         WHERE alerts.resolved_at = alerts.at AND alerts.note IS NULL",
        event,
    )?;
    let inserted = inserted.execute(connection).await.map_err(database("record an alert"))?;
    Ok(inserted.rows_affected() > 0)
}

/// Whether that changed anything.
async fn complete(connection: &mut SqliteConnection, event: &AlertEvent) -> Result<bool> {
    let completed = bound(
        "INSERT INTO alerts (tenant, id, alert, severity, alert_key, at, body, resolved_at, times, note,
                             acknowledged_at, acknowledged_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (tenant, id) DO UPDATE
         SET resolved_at = excluded.resolved_at, times = excluded.times, note = excluded.note
         WHERE alerts.resolved_at IS NULL OR alerts.note IS NOT NULL",
        event,
    )?;
    let completed = completed.execute(connection).await.map_err(database("complete an alert"))?;
    Ok(completed.rows_affected() > 0)
}

fn bound(sql: &'static str, event: &AlertEvent) -> Result<Query<'static, Sqlite, SqliteArguments>> {
    Ok(sqlx::query(sql)
        .bind(event.tenant.as_str())
        .bind(&event.id)
        .bind(&event.alert)
        .bind(event.severity.as_str())
        .bind(&event.key)
        .bind(event.at.micros())
        .bind(to_json(&event.row)?)
        .bind(event.resolved_at.map(|time| time.micros()))
        .bind(event.times.map(to_signed))
        .bind(&event.note)
        .bind(event.acknowledged_at.map(|time| time.micros()))
        .bind(&event.acknowledged_by))
}

/// Ends an event whose rule had forgotten it before it was recorded; its record lies before `read_to`.
async fn end_forgotten(connection: &mut SqliteConnection, event: &AlertEvent, read_to: u64) -> Result<()> {
    sqlx::query(
        "UPDATE alerts SET (resolved_at, note) = (
             SELECT CASE WHEN alerts.at > e.at THEN alerts.at ELSE e.at END, e.note
             FROM alert_ends e WHERE e.tenant = $1 AND e.alert = $3)
         WHERE tenant = $1 AND id = $2 AND resolved_at IS NULL AND EXISTS (
             SELECT 1 FROM alert_ends e WHERE e.tenant = $1 AND e.alert = $3 AND e.before_offset >= $4)",
    )
    .bind(event.tenant.as_str())
    .bind(&event.id)
    .bind(&event.alert)
    .bind(to_signed(read_to))
    .execute(connection)
    .await
    .map_err(database("end what was forgotten"))?;
    Ok(())
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
        resolved_at: columns.time_if("resolved_at")?,
        times: columns.number_if("times")?,
        note: columns.text_if("note")?,
        acknowledged_at: columns.time_if("acknowledged_at")?,
        acknowledged_by: columns.text_if("acknowledged_by")?,
    })
}
