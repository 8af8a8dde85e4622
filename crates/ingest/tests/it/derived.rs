//! Rows of pipelines.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use springhouse_ingest::{IngestError, Lineage, Outcome};
use springhouse_log::{Offset, Producer};
use springhouse_meta::{Approval, NewStream, Origin};
use springhouse_model::ValueType;
use springhouse_schema::{Field, Reason, Schema};

use crate::hub::{Hub, key};

async fn hub_with_hourly() -> Hub {
    let hub = Hub::new().await;
    let stream = NewStream {
        key: key("hourly"),
        state: Approval::Approved,
        origin: Origin::Derived { pipeline: "p".to_owned() },
        schema: Schema::new(vec![Field::new("avg", ValueType::Float).required()]),
        watermark_delay_us: 0,
        idle_us: None,
        retention_us: None,
        sql: None,
    };
    hub.ingest.registry().create(stream).await.unwrap();
    hub
}

fn rows(values: ArrayRef) -> RecordBatch {
    let count = values.len();
    let ts = TimestampMicrosecondArray::from(vec![1_767_225_600_000_000; count]).with_timezone("UTC");
    let devices: StringArray = (0..count).map(|n| Some(format!("d{n}"))).collect();
    let ts: ArrayRef = Arc::new(ts);
    RecordBatch::try_from_iter_with_nullable([
        ("ts", ts, false),
        ("device", Arc::new(devices), true),
        ("avg", values, true),
    ])
    .unwrap()
}

/// Made by the second version of `p`, the first two rows at record 40.
const LINEAGE: Lineage<'_> =
    Lineage { pipeline: "p", version: 2, records: &[(0, Offset(40)), (2, Offset(41))] };

#[tokio::test]
async fn derived_rows_are_durable_under_their_producer() {
    let hub = hub_with_hourly().await;
    let batch = rows(Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
    hub.ingest.append_derived(&key("hourly"), batch, Producer { id: 7, seq: 0 }, LINEAGE).await.unwrap();
    // In the order of the pipeline, whatever partitions their devices have.
    let values: Vec<_> = hub.texts("hourly", "avg").into_iter().flatten().collect();
    assert_eq!(values, ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"]);
    assert_eq!(hub.log.last_producer(7), Some(Producer { id: 7, seq: 6 }));
}

#[tokio::test]
async fn a_derived_row_without_a_required_value_is_quarantined_and_still_counted() {
    let hub = hub_with_hourly().await;
    let batch = rows(Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0)])));
    hub.ingest.append_derived(&key("hourly"), batch, Producer { id: 7, seq: 10 }, LINEAGE).await.unwrap();
    assert_eq!(hub.rows("hourly"), 2);
    let held = &hub.inbox(1).await[0];
    assert_eq!(
        (held.reason.as_str(), held.device.as_ref().map(|device| device.as_str())),
        ("missing_field", Some("d1"))
    );
    let detail = "required column `avg` is empty; pipeline `p`, version 2, made at record 40 of the log";
    assert_eq!(held.detail, detail);
    assert_eq!(hub.log.last_producer(7), Some(Producer { id: 7, seq: 13 }));
}

#[tokio::test]
async fn columns_of_another_type_are_refused_and_integers_become_floats() {
    let hub = hub_with_hourly().await;
    let text = rows(Arc::new(StringArray::from(vec!["x"])));
    let error = hub
        .ingest
        .append_derived(&key("hourly"), text, Producer { id: 7, seq: 0 }, LINEAGE)
        .await
        .unwrap_err();
    assert!(matches!(error, IngestError::Columns { .. }), "{error}");
    let whole = rows(Arc::new(Int64Array::from(vec![4])));
    hub.ingest.append_derived(&key("hourly"), whole, Producer { id: 7, seq: 0 }, LINEAGE).await.unwrap();
    assert_eq!(hub.texts("hourly", "avg"), [Some("4.0".to_owned())]);
}

#[tokio::test]
async fn a_device_cannot_write_what_a_pipeline_writes() {
    let hub = hub_with_hourly().await;
    assert_eq!(hub.say("devices/d/hourly", r#"{"avg":1}"#).await, Outcome::Quarantined(Reason::NotWritable));
}
