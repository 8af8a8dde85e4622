//! From a row of an alert's stream to the event that a person sees.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, WriterBuilder};
use serde_json::Value;
use sha2::{Digest, Sha256};
use springhouse_meta::AlertEvent;
use springhouse_model::{Severity, StreamName, TenantId, Timestamp};
use springhouse_schema::{
    DEVICE_COLUMN, ID_COLUMN, RECEIVED_COLUMN, SITE_COLUMN, TS_COLUMN, is_system_column,
};

/// Streams of alerts are named after their rule.
pub const ALERT_STREAM_PREFIX: &str = "alerts.";

/// The rule that writes this stream; `None` for streams that are no alerts, late rows of alerts included.
pub fn alert_name(stream: &StreamName) -> Option<&str> {
    let name = stream.as_str().strip_prefix(ALERT_STREAM_PREFIX)?;
    (!name.is_empty() && !name.ends_with(".late")).then_some(name)
}

/// Why rows of an alert's stream are no events.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("column `{TS_COLUMN}` is missing or is no time")]
    NoTime,
    #[error("cannot write rows as JSON")]
    Json(#[source] ArrowError),
    #[error("cannot read rows back from JSON")]
    Read(#[source] serde_json::Error),
}

/// The events of a batch, one for each row.
pub fn events_of(
    tenant: &TenantId,
    alert: &str,
    severity: Severity,
    batch: &RecordBatch,
) -> Result<Vec<AlertEvent>, EventError> {
    let times = batch
        .column_by_name(TS_COLUMN)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or(EventError::NoTime)?;
    let rows = json_rows(batch)?;
    let event = |(index, row)| {
        let at = Timestamp(times.value(index));
        let key = key_of(batch, index);
        AlertEvent {
            id: id_of(tenant, alert, &key, at),
            tenant: tenant.clone(),
            alert: alert.to_owned(),
            severity,
            key,
            at,
            row,
            acknowledged_at: None,
            acknowledged_by: None,
        }
    };
    Ok(rows.into_iter().enumerate().map(event).collect())
}

/// Sixteen bytes of SHA-256 over what fired, for what, and when; each part with its length, so that parts do not
/// run into each other.
fn id_of(tenant: &TenantId, alert: &str, key: &str, at: Timestamp) -> String {
    let mut hash = Sha256::new();
    for part in [tenant.as_str(), alert, key] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(at.micros().to_le_bytes());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What the row is about: its device, otherwise its site, otherwise the words in it.
fn key_of(batch: &RecordBatch, row: usize) -> String {
    let text = |name: &str| batch.column_by_name(name).and_then(|column| text_at(column, row));
    if let Some(device) = text(DEVICE_COLUMN).or_else(|| text(SITE_COLUMN)) {
        return device;
    }
    let schema = batch.schema();
    let words =
        schema.fields().iter().zip(batch.columns()).filter(|(field, _)| !is_system_column(field.name()));
    words.filter_map(|(_, column)| text_at(column, row)).collect::<Vec<_>>().join(" · ")
}

fn text_at(column: &ArrayRef, row: usize) -> Option<String> {
    let is_text = matches!(column.data_type(), DataType::Utf8);
    (is_text && column.is_valid(row)).then(|| column.as_string::<i32>().value(row).to_owned())
}

/// The rows as objects, without what only the hub needs.
fn json_rows(batch: &RecordBatch) -> Result<Vec<Value>, EventError> {
    let schema = batch.schema();
    let kept: Vec<usize> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| !matches!(field.name().as_str(), RECEIVED_COLUMN | ID_COLUMN))
        .map(|(index, _)| index)
        .collect();
    let kept = batch.project(&kept).map_err(EventError::Json)?;
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(&kept).and_then(|()| writer.finish()).map_err(EventError::Json)?;
    let text = writer.into_inner();
    if text.is_empty() { Ok(Vec::new()) } else { serde_json::from_slice(&text).map_err(EventError::Read) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray, TimestampMicrosecondArray};
    use serde_json::json;

    use super::*;

    fn batch(device: Option<&str>, site: Option<&str>, ts: i64) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("ts", Arc::new(TimestampMicrosecondArray::from(vec![ts]).with_timezone("UTC"))),
            ("device", Arc::new(StringArray::from(vec![device]))),
            ("site", Arc::new(StringArray::from(vec![site]))),
            ("room", Arc::new(StringArray::from(vec!["attic"]))),
            ("power", Arc::new(Float64Array::from(vec![f64::NAN]))),
            ("_received", Arc::new(TimestampMicrosecondArray::from(vec![ts]).with_timezone("UTC"))),
            ("_id", Arc::new(StringArray::from(vec![None::<&str>]))),
        ];
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    fn event(batch: &RecordBatch) -> AlertEvent {
        events_of(&TenantId::main(), "hot", Severity::Critical, batch).unwrap().remove(0)
    }

    #[test]
    fn a_row_becomes_an_event_about_its_device() {
        let event = event(&batch(Some("oven"), Some("home"), 0));
        assert_eq!((event.key.as_str(), event.at), ("oven", Timestamp(0)));
        let expected = json!({"ts": "1970-01-01T00:00:00Z", "device": "oven", "site": "home", "room": "attic",
            "power": null});
        assert_eq!(event.row, expected);
    }

    #[test]
    fn a_row_without_a_device_is_about_its_site_or_its_words() {
        assert_eq!(event(&batch(None, Some("home"), 0)).key, "home");
        assert_eq!(event(&batch(None, None, 0)).key, "attic");
    }

    #[test]
    fn the_same_firing_has_the_same_id_and_another_has_another() {
        let id = |device, ts| event(&batch(Some(device), None, ts)).id;
        assert_eq!(id("oven", 0), id("oven", 0));
        assert_ne!(id("oven", 0), id("oven", 1));
        assert_ne!(id("oven", 0), id("stove", 0));
        assert_eq!(id("oven", 0).len(), 32);
    }

    #[test]
    fn only_streams_of_rules_are_alerts() {
        let name = |text: &str| alert_name(&text.parse().unwrap()).map(str::to_owned);
        assert_eq!(name("alerts.hot"), Some(String::from("hot")));
        assert_eq!(name("alerts.hot.late"), None);
        assert_eq!(name("alerts"), None);
        assert_eq!(name("meter"), None);
    }
}
