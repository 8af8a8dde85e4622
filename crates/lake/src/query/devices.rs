//! The table `devices`: who is registered, and when each was last heard.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use springhouse_meta::{Device, Meta};
use springhouse_model::TenantId;

use super::kept::Kept;

pub(super) struct Devices {
    meta: Arc<dyn Meta>,
    tenant: TenantId,
    schema: SchemaRef,
}

impl Devices {
    pub fn new(meta: Arc<dyn Meta>, tenant: TenantId) -> Devices {
        let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![
            Field::new("device", DataType::Utf8, false),
            Field::new("site", DataType::Utf8, true),
            Field::new("state", DataType::Utf8, false),
            Field::new("created_at", time(), false),
            Field::new("last_seen", time(), true),
        ]);
        Devices { meta, tenant, schema: Arc::new(schema) }
    }

    fn batch(&self, devices: &[Device]) -> Result<RecordBatch> {
        let times = |of: &dyn Fn(&Device) -> Option<i64>| -> ArrayRef {
            let times: TimestampMicrosecondArray = devices.iter().map(of).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(devices.iter().map(|device| Some(device.id.as_str())).collect::<StringArray>()),
            Arc::new(
                devices
                    .iter()
                    .map(|device| device.site.as_ref().map(AsRef::<str>::as_ref))
                    .collect::<StringArray>(),
            ),
            Arc::new(devices.iter().map(|device| Some(device.state.as_str())).collect::<StringArray>()),
            times(&|device| Some(device.created_at.micros())),
            times(&|device| device.last_seen.map(|time| time.micros())),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "devices of {}", self.tenant)
    }
}

#[async_trait]
impl Kept for Devices {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn rows(&self) -> Result<RecordBatch> {
        let devices = self.meta.devices(&self.tenant).await;
        let devices = devices.map_err(|error| DataFusionError::External(Box::new(error)))?;
        self.batch(&devices)
    }
}
