//! What the engine needs of the hub's streams, so that it can be tested without a gateway in front.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use springhouse_ingest::{Ingest, Lineage, PutAside};
use springhouse_log::Producer;
use springhouse_meta::{NewStream, StreamEntry};
use springhouse_model::{StreamKey, TenantId};
use springhouse_schema::Schema;

use super::EngineError;

/// The streams by name, and the only way to write one.
#[async_trait]
pub trait Streams: Send + Sync {
    fn entry(&self, key: &StreamKey) -> Option<Arc<StreamEntry>>;
    fn entries(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>>;
    /// Creates the stream, or returns the one that has this name already, unchanged.
    async fn create(&self, stream: NewStream) -> Result<Arc<StreamEntry>, EngineError>;
    async fn put_schema(&self, key: &StreamKey, schema: Schema) -> Result<Arc<StreamEntry>, EngineError>;
    async fn remove(&self, key: &StreamKey) -> Result<bool, EngineError>;
    /// Notes that a table has, or no table has, this name.
    fn set_table(&self, key: &StreamKey, is_there: bool) {
        let _ = (key, is_there);
    }
    /// Appends rows; returns after they are durable. The batch has the columns of the stream.
    async fn append(
        &self,
        key: &StreamKey,
        rows: RecordBatch,
        producer: Producer,
        lineage: Lineage<'_>,
    ) -> Result<(), EngineError>;
    /// Puts rows into quarantine that a pipeline could not deal with; returns after they are durable.
    async fn put_aside(
        &self,
        tenant: &TenantId,
        rows: &[PutAside],
        producer: Producer,
    ) -> Result<(), EngineError>;
    /// Leaves a mark among the records of the stream.
    async fn mark(&self, key: &StreamKey, mark: Bytes) -> Result<(), EngineError>;
}

#[async_trait]
impl Streams for Ingest {
    fn entry(&self, key: &StreamKey) -> Option<Arc<StreamEntry>> {
        self.registry().entry(key)
    }

    fn entries(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.registry().entries(Some(tenant))
    }

    async fn create(&self, stream: NewStream) -> Result<Arc<StreamEntry>, EngineError> {
        Ok(Arc::new(self.registry().create(stream).await?))
    }

    async fn put_schema(&self, key: &StreamKey, schema: Schema) -> Result<Arc<StreamEntry>, EngineError> {
        Ok(Arc::new(self.registry().put_schema(key, schema).await?))
    }

    async fn remove(&self, key: &StreamKey) -> Result<bool, EngineError> {
        Ok(self.registry().drop_stream(key).await?)
    }

    fn set_table(&self, key: &StreamKey, is_there: bool) {
        self.registry().set_table(key, is_there);
    }

    async fn append(
        &self,
        key: &StreamKey,
        rows: RecordBatch,
        producer: Producer,
        lineage: Lineage<'_>,
    ) -> Result<(), EngineError> {
        self.append_derived(key, rows, producer, lineage).await?;
        Ok(())
    }

    async fn put_aside(
        &self,
        tenant: &TenantId,
        rows: &[PutAside],
        producer: Producer,
    ) -> Result<(), EngineError> {
        Ingest::put_aside(self, tenant, rows, producer).await?;
        Ok(())
    }

    async fn mark(&self, key: &StreamKey, mark: Bytes) -> Result<(), EngineError> {
        self.append_mark(key, mark).await?;
        Ok(())
    }
}
