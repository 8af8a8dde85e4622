//! The lake as the engine asks it, for reference tables that are made from history.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use springhouse_engine::History;
use springhouse_engine::tables::Bounds;
use springhouse_model::TenantId;

use crate::Lake;

#[async_trait]
impl History for Lake {
    async fn rows(&self, tenant: &TenantId, sql: &str, bounds: Bounds) -> Result<Vec<RecordBatch>, String> {
        let mut result = self.query(tenant, sql).await.map_err(|error| error.to_string())?;
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while let Some(batch) = result.batches.next().await {
            let batch = batch.map_err(|error| error.to_string())?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            // Batches share memory, so that it is counted more than once: what is held in the end is counted again.
            if rows > bounds.rows_max || bytes > bounds.bytes_max.saturating_mul(8) {
                return Err(format!("it gives more than a table may hold; {rows} rows were read"));
            }
            batches.push(batch);
        }
        Ok(batches)
    }
}
