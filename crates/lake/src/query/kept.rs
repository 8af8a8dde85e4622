//! Tables whose rows the hub keeps itself, few enough to be put together for each query.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

/// Where the rows of such a table come from.
#[async_trait]
pub(crate) trait Kept: Debug + Send + Sync + 'static {
    fn schema(&self) -> SchemaRef;

    /// All rows, as they are now.
    async fn rows(&self) -> Result<RecordBatch>;
}

#[derive(Debug)]
pub(super) struct KeptTable<K>(pub K);

#[async_trait]
impl<K: Kept> TableProvider for KeptTable<K> {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = self.0.rows().await?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?)
    }
}
