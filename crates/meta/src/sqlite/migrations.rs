//! The layouts of the database, oldest first. A layout that was released is never edited, only followed.

use std::path::Path;

use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use super::database;
use crate::{MetaError, Result};

const LAYOUTS: [&str; 7] = [
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_pipeline_versions.sql"),
    include_str!("../../migrations/0003_alert_episodes.sql"),
    include_str!("../../migrations/0004_tables.sql"),
    include_str!("../../migrations/0005_functions.sql"),
    include_str!("../../migrations/0006_components.sql"),
    include_str!("../../migrations/0007_certificates.sql"),
];
const KNOWN: i64 = LAYOUTS.len() as i64;

/// Brings the database to the latest layout in one transaction; of two processes one does it, the other finds it done.
pub(super) async fn migrate(pool: &SqlitePool, path: &Path) -> Result<()> {
    let doing = "bring the metadata database up to date";
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(database(doing))?;
    let found = version(&mut transaction).await?;
    if found > KNOWN {
        return Err(MetaError::Newer { path: path.display().to_string(), found, known: KNOWN });
    }
    let done = usize::try_from(found).unwrap_or_default();
    for layout in &LAYOUTS[done..] {
        sqlx::raw_sql(*layout).execute(&mut *transaction).await.map_err(database(doing))?;
    }
    if found < KNOWN {
        sqlx::query("UPDATE schema_version SET version = $1")
            .bind(KNOWN)
            .execute(&mut *transaction)
            .await
            .map_err(database(doing))?;
    }
    transaction.commit().await.map_err(database(doing))
}

/// The layout that the database has; 0 for an empty one.
async fn version(connection: &mut SqliteConnection) -> Result<i64> {
    let doing = "read the version of the metadata database";
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(&mut *connection)
        .await
        .map_err(database(doing))?;
    let row = sqlx::query("SELECT version FROM schema_version")
        .fetch_optional(&mut *connection)
        .await
        .map_err(database(doing))?;
    if let Some(row) = row {
        return row.try_get(0).map_err(database(doing));
    }
    sqlx::query("INSERT INTO schema_version (version) VALUES (0)")
        .execute(connection)
        .await
        .map_err(database(doing))?;
    Ok(0)
}
