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

use crate::episode::{EPISODE_COLUMNS, Episodes};

/// Streams of alerts are named after their rule.
pub const ALERT_STREAM_PREFIX: &str = "alerts.";

/// The rule that writes this stream; `None` for streams that are no alerts, late rows of alerts included.
pub fn alert_name(stream: &StreamName) -> Option<&str> {
    let name = stream.as_str().strip_prefix(ALERT_STREAM_PREFIX)?;
    (!name.is_empty() && !name.ends_with(".late")).then_some(name)
}

/// Between the words of a key.
const BETWEEN_WORDS: &str = " · ";

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

/// What is known of the rule that has written a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub severity: Severity,
    /// The columns that say what a row is about; none when nothing was said.
    pub key: Vec<String>,
}

/// The events of a batch, one for each row: a firing, or the end of one that carries the same id.
pub fn events_of(
    tenant: &TenantId,
    alert: &str,
    rule: &Rule,
    batch: &RecordBatch,
) -> Result<Vec<AlertEvent>, EventError> {
    let times = batch
        .column_by_name(TS_COLUMN)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or(EventError::NoTime)?;
    let rows = json_rows(batch)?;
    let episodes = Episodes::of(batch);
    let event = |(index, mut row): (usize, Value)| {
        let ts = Timestamp(times.value(index));
        let part = episodes.as_ref().and_then(|episodes| episodes.at(index));
        if let (Some(_), Some(row)) = (&part, row.as_object_mut()) {
            row.retain(|name, _| !EPISODE_COLUMNS.contains(&name.as_str()));
        }
        let key = key_of(&rule.key, &row, batch, index);
        let at = part.as_ref().map_or(ts, |part| part.fired_at);
        AlertEvent {
            id: id_of(tenant, alert, &key, at),
            tenant: tenant.clone(),
            alert: alert.to_owned(),
            severity: rule.severity,
            key,
            at,
            row,
            resolved_at: part.as_ref().filter(|part| part.is_over).map(|_| ts),
            times: part.map(|part| part.times),
            note: None,
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

/// What the row is about: what is in the columns of the rule's key; without one its device, otherwise its site,
/// otherwise the words in it. `springhouse_engine` tells the keys of episodes apart in the same way.
fn key_of(key: &[String], row: &Value, batch: &RecordBatch, index: usize) -> String {
    if !key.is_empty() {
        let values = key.iter().filter_map(|name| row.get(name)).filter_map(written);
        return values.collect::<Vec<_>>().join(BETWEEN_WORDS);
    }
    let text = |name: &str| batch.column_by_name(name).and_then(|column| text_at(column, index));
    if let Some(device) = text(DEVICE_COLUMN).or_else(|| text(SITE_COLUMN)) {
        return device;
    }
    let schema = batch.schema();
    // What is not in the row is not about it either.
    let is_word = |name: &str| !is_system_column(name) && row.get(name).is_some();
    let columns = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| is_word(field.name()));
    let words = columns.filter_map(|(_, column)| text_at(column, index));
    words.collect::<Vec<_>>().join(BETWEEN_WORDS)
}

fn text_at(column: &ArrayRef, row: usize) -> Option<String> {
    let is_text = matches!(column.data_type(), DataType::Utf8);
    (is_text && column.is_valid(row)).then(|| column.as_string::<i32>().value(row).to_owned())
}

/// A value as text; nothing for null.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
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

    use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
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

    fn event_about(key: &[&str], batch: &RecordBatch) -> AlertEvent {
        let key = key.iter().map(|name| (*name).to_owned()).collect();
        let rule = Rule { severity: Severity::Critical, key };
        events_of(&TenantId::main(), "hot", &rule, batch).unwrap().remove(0)
    }

    fn event(batch: &RecordBatch) -> AlertEvent {
        event_about(&[], batch)
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
    fn a_rule_may_say_what_its_rows_are_about() {
        let rows = batch(Some("oven"), None, 0);
        assert_eq!(event_about(&["room", "site", "device"], &rows).key, "attic · oven");
        assert_eq!(event_about(&["ts"], &rows).key, "1970-01-01T00:00:00Z");
        assert_eq!(event_about(&["gone"], &rows).key, "");
    }

    #[test]
    fn the_beginning_and_the_end_of_an_episode_are_one_event() {
        let part = |event: &str, ts: i64, times: i64| {
            let rows = batch(None, None, ts);
            let mut columns: Vec<(String, ArrayRef)> = Vec::new();
            for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
                columns.push((field.name().clone(), ArrayRef::clone(column)));
            }
            columns.push(("event".to_owned(), Arc::new(StringArray::from(vec![event]))));
            let fired_at = TimestampMicrosecondArray::from(vec![5]).with_timezone("UTC");
            columns.push(("fired_at".to_owned(), Arc::new(fired_at)));
            columns.push(("times".to_owned(), Arc::new(Int64Array::from(vec![times]))));
            self::event(&RecordBatch::try_from_iter(columns).unwrap())
        };
        let (begun, over) = (part("fired", 5, 1), part("resolved", 9, 3));
        assert_eq!((&begun.id, &begun.key, begun.at), (&over.id, &over.key, over.at));
        assert_eq!((begun.key.as_str(), begun.at), ("attic", Timestamp(5)), "`event` is no word of the row");
        assert_eq!((begun.resolved_at, begun.times, begun.is_firing()), (None, Some(1), true));
        assert_eq!((over.resolved_at, over.times), (Some(Timestamp(9)), Some(3)));
        assert_eq!(begun.row.get("times"), None);
        // A rule without an end may have such a column, too.
        let other = part("opened", 9, 3);
        assert_eq!(
            (other.at, other.times, other.row["event"].as_str()),
            (Timestamp(9), None, Some("opened"))
        );
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
