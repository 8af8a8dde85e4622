//! Settings in SQLite.

use async_trait::async_trait;

use super::rows::Columns;
use super::{Durability, SqliteMeta, database};
use crate::{Result, Settings};

#[async_trait]
impl Settings for SqliteMeta {
    async fn setting(&self, key: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT value FROM settings WHERE name = $1")
            .bind(key)
            .fetch_optional(&self.readers)
            .await
            .map_err(database("read a setting"))?;
        row.map(|row| Columns { table: "settings", row: &row }.text("value")).transpose()
    }

    async fn put_setting(&self, key: &str, value: &str) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(write.sql())
        .await
        .map_err(database("write a setting"))?;
        write.commit().await
    }
}
