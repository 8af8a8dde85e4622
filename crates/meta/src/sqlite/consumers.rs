//! Offsets of consumers in SQLite.

use async_trait::async_trait;

use super::rows::{Columns, move_consumer};
use super::{Durability, SqliteMeta, database};
use crate::{Consumers, Result};

#[async_trait]
impl Consumers for SqliteMeta {
    async fn offset(&self, consumer: &str) -> Result<Option<u64>> {
        let row = sqlx::query("SELECT next_offset FROM consumers WHERE name = $1")
            .bind(consumer)
            .fetch_optional(&self.readers)
            .await
            .map_err(database("look up a consumer"))?;
        row.map(|row| Columns { table: "consumers", row: &row }.number("next_offset")).transpose()
    }

    async fn set_offset(&self, consumer: &str, offset: u64) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        move_consumer(write.sql(), Some((consumer, offset))).await?;
        write.commit().await
    }

    async fn forget_consumer(&self, consumer: &str) -> Result<()> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("DELETE FROM consumers WHERE name = $1")
            .bind(consumer)
            .execute(write.sql())
            .await
            .map_err(database("forget a consumer"))?;
        write.commit().await
    }
}
