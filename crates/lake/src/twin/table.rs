//! The table `twin`: last values as rows.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::common::Result;
use springhouse_model::TenantId;

use super::{Latest, Twin};
use crate::query::Kept;

pub(crate) struct LastValues {
    twin: Twin,
    tenant: TenantId,
    schema: SchemaRef,
}

impl LastValues {
    pub fn new(twin: Twin, tenant: TenantId) -> LastValues {
        let schema = Schema::new(vec![
            Field::new("device", DataType::Utf8, false),
            Field::new("stream", DataType::Utf8, false),
            Field::new("property", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
            Field::new("number", DataType::Float64, true),
            Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        ]);
        LastValues { twin, tenant, schema: Arc::new(schema) }
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

impl fmt::Debug for LastValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "twin of {}", self.tenant)
    }
}

#[async_trait]
impl Kept for LastValues {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn rows(&self) -> Result<RecordBatch> {
        self.batch(&self.twin.all(&self.tenant))
    }
}
