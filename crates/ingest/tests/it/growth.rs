//! Schemas that grow, and schemas that do not.

use springhouse_ingest::{Outcome, RegistryError};
use springhouse_meta::{Approval, NewStream, Origin};
use springhouse_model::ValueType;
use springhouse_schema::{Field, Reason, Schema, adapt};

use crate::hub::{Hub, key};

const TOPIC: &str = "devices/d/s";

fn declared(schema: Schema) -> NewStream {
    NewStream {
        key: key("s"),
        state: Approval::Approved,
        origin: Origin::Declared,
        schema,
        watermark_delay_us: 0,
        idle_us: None,
        retention_us: None,
        sql: None,
    }
}

#[tokio::test]
async fn rows_before_and_after_a_growth_are_durable_in_one_order() {
    let hub = Hub::new().await;
    let payloads = [r#"{"v":1}"#, r#"{"v":2}"#, r#"{"v":3.5}"#, r#"{"v":4,"w":true}"#, r#"{"v":5}"#];
    let messages: Vec<_> = payloads.iter().map(|payload| hub.message(TOPIC, payload)).collect();
    let outcomes = hub.send(&messages).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Accepted { rows: 1 }), "{outcomes:?}");
    let entry = hub.ingest.registry().entry(&key("s")).unwrap();
    assert_eq!(entry.schema.version, 3);
    assert_eq!(hub.meta.schemas(&key("s")).await.unwrap().len(), 3);
    let adapted: Vec<_> = hub.batches("s").iter().map(|batch| adapt(batch, &entry.schema).unwrap()).collect();
    let values: Vec<f64> = adapted
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name("v").unwrap();
            let column =
                arrow::array::cast::AsArray::as_primitive::<arrow::datatypes::Float64Type>(column.as_ref());
            column.values().to_vec()
        })
        .collect();
    assert_eq!(values, [1.0, 2.0, 3.5, 4.0, 5.0]);
}

#[tokio::test]
async fn a_declared_schema_is_kept_to_the_letter() {
    let hub = Hub::new().await;
    let fields = vec![Field::new("n", ValueType::Int).required(), Field::new("at", ValueType::Time)];
    hub.ingest.registry().create(declared(Schema::new(fields))).await.unwrap();
    for (payload, expected) in [
        (r#"{"n":1,"at":"2026-01-01T00:00:00Z"}"#, None),
        (r#"{"n":1.0,"at":1767225600}"#, None),
        (r#"{"n":1.5}"#, Some(Reason::WrongType)),
        (r#"{"n":null}"#, Some(Reason::MissingField)),
        (r#"{"at":null}"#, Some(Reason::MissingField)),
        (r#"{"n":1,"at":"soon"}"#, Some(Reason::WrongType)),
        (r#"{"n":1,"more":2}"#, Some(Reason::UnknownField)),
        (r#"{"n":1,"more":null}"#, None),
    ] {
        let expected = expected.map_or(Outcome::Accepted { rows: 1 }, Outcome::Quarantined);
        assert_eq!(hub.say(TOPIC, payload).await, expected, "{payload}");
    }
    assert_eq!(hub.ingest.registry().entry(&key("s")).unwrap().schema.version, 1);
}

#[tokio::test]
async fn a_schema_that_stored_readings_cannot_follow_is_refused() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":"on"}"#).await;
    let narrower = Schema::new(vec![Field::new("v", ValueType::Int)]);
    let error = hub.ingest.registry().put_schema(&key("s"), narrower).await.unwrap_err();
    assert!(matches!(error, RegistryError::Incompatible { .. }), "{error}");
    let wider = Schema::new(vec![Field::new("v", ValueType::Text), Field::new("w", ValueType::Float)]);
    assert_eq!(hub.ingest.registry().put_schema(&key("s"), wider).await.unwrap().schema.version, 2);
    assert_eq!(hub.say(TOPIC, r#"{"v":"on","x":1}"#).await, Outcome::Quarantined(Reason::UnknownField));
}

#[tokio::test]
async fn a_dropped_stream_begins_anew_under_its_name() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":"text"}"#).await;
    let first = hub.ingest.registry().entry(&key("s")).unwrap().id;
    assert!(hub.ingest.registry().drop_stream(&key("s")).await.unwrap());
    assert_eq!(hub.say(TOPIC, r#"{"v":1}"#).await, Outcome::Accepted { rows: 1 });
    let second = hub.ingest.registry().entry(&key("s")).unwrap().id;
    assert_ne!(first, second);
    assert_eq!(hub.rows("s"), 1);
}
