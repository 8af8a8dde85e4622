//! The table `twin`: last values as rows.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use springhouse_model::TenantId;

use super::{Latest, Twin};

pub(crate) struct TwinTable {
    twin: Twin,
    tenant: TenantId,
    schema: SchemaRef,
}

impl TwinTable {
    pub fn new(twin: Twin, tenant: TenantId) -> TwinTable {
        let schema = Schema::new(vec![
            Field::new("device", DataType::Utf8, false),
            Field::new("stream", DataType::Utf8, false),
            Field::new("property", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
            Field::new("number", DataType::Float64, true),
            Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        ]);
        TwinTable { twin, tenant, schema: Arc::new(schema) }
    }

    fn batch(&self, latest: &[Latest]) -> Result<RecordBatch> {
        let times: TimestampMicrosecondArray = latest.iter().map(|row| Some(row.ts.micros())).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(latest.iter().map(|row| Some(row.device.as_str())).collect::<StringArray>()),
            Arc::new(latest.iter().map(|row| Some(row.stream.as_str())).collect::<StringArray>()),
            Arc::new(latest.iter().map(|row| Some(row.property.as_str())).collect::<StringArray>()),
            Arc::new(latest.iter().map(|row| text(&row.value)).collect::<StringArray>()),
            Arc::new(latest.iter().map(|row| number(&row.value)).collect::<Float64Array>()),
            Arc::new(times.with_timezone("UTC")),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Every value as text, texts without quotes.
fn text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Numbers, and switches as 0 and 1.
fn number(value: &serde_json::Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|on| f64::from(u8::from(on))))
}

impl fmt::Debug for TwinTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "twin of {}", self.tenant)
    }
}

#[async_trait]
impl TableProvider for TwinTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
        let batch = self.batch(&self.twin.all(&self.tenant))?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?)
    }
}
