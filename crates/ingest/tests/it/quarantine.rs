//! The inbox: what waits there, and how it gets out.

use std::sync::Arc;

use springhouse_ingest::{Options, Outcome, ReplayReport};
use springhouse_log::MemoryLog;
use springhouse_meta::{QuarantineFilter, SqliteMeta};
use springhouse_model::{Clock, ManualClock, TenantId, Timestamp, ValueType};
use springhouse_schema::{Field, Reason, Schema};

use crate::hub::{Hub, key, options, with_id};

const TOPIC: &str = "devices/d/s";

#[tokio::test]
async fn the_inbox_names_device_stream_reason_and_payload() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":1}"#).await;
    hub.say(TOPIC, r#"{"v":"hot"}"#).await;
    let message = &hub.inbox(1).await[0];
    assert_eq!(message.device.as_ref().unwrap().as_str(), "d");
    assert_eq!(message.stream.as_ref().unwrap().as_str(), "s");
    assert_eq!(message.site.as_ref().unwrap().as_str(), "home");
    assert_eq!((message.reason.as_str(), message.topic.as_str()), ("wrong_type", TOPIC));
    assert_eq!(message.payload, br#"{"v":"hot"}"#);
    assert!(message.detail.contains("`v`"), "{}", message.detail);
}

#[tokio::test]
async fn replay_after_a_schema_change_stores_each_message_once() {
    let hub = Hub::new().await;
    let schema = Schema::new(vec![Field::new("v", ValueType::Int)]);
    let stream = springhouse_meta::NewStream {
        key: key("s"),
        state: springhouse_meta::Approval::Approved,
        origin: springhouse_meta::Origin::Declared,
        schema,
        watermark_delay_us: 0,
        idle_us: None,
        retention_us: None,
        sql: None,
    };
    hub.ingest.registry().create(stream).await.unwrap();
    hub.say(TOPIC, r#"{"v":1.5}"#).await;
    hub.say(TOPIC, r#"{"v":"hot"}"#).await;
    let ids: Vec<_> = hub.inbox(2).await.into_iter().map(|message| message.id).collect();
    let main = TenantId::main();
    let report = hub.ingest.replay(&main, &ids).await.unwrap();
    assert_eq!(report, ReplayReport { replayed: 0, still_failing: 2 });
    assert_eq!(hub.reasons().len(), 2, "what still fails is not quarantined again");

    let wider = Schema::new(vec![Field::new("v", ValueType::Float)]);
    hub.ingest.registry().put_schema(&key("s"), wider).await.unwrap();
    let report = hub.ingest.replay(&main, &ids).await.unwrap();
    assert_eq!(report, ReplayReport { replayed: 1, still_failing: 1 });
    let report = hub.ingest.replay(&main, &ids).await.unwrap();
    assert_eq!(report, ReplayReport { replayed: 0, still_failing: 1 });
    assert_eq!(hub.texts("s", "v"), [Some("1.5".to_owned())]);
    hub.inbox(1).await;
}

#[tokio::test]
async fn a_replay_that_died_before_its_mark_is_a_duplicate_the_next_time() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":1}"#).await;
    hub.say(TOPIC, r#"{"ts":"1970-01-01T00:00:00Z","v":2}"#).await;
    let id = hub.inbox(1).await[0].id.clone();
    // What the first replay did before the hub died: the row is durable under the message's replay id.
    let again = with_id(hub.message(TOPIC, r#"{"v":2}"#), &format!("q-{id}"));
    assert_eq!(hub.send(&[again]).await, [Outcome::Accepted { rows: 1 }]);
    let hub = hub.restarted().await;
    let report = hub.ingest.replay(&TenantId::main(), &[id]).await.unwrap();
    assert_eq!(report, ReplayReport { replayed: 1, still_failing: 0 });
    assert_eq!(hub.rows("s"), 2);
}

#[tokio::test]
async fn the_inbox_goes_on_after_a_restart_without_repeating() {
    let hub = Hub::new().await;
    hub.say(TOPIC, "one").await;
    hub.inbox(1).await;
    let hub = hub.restarted().await;
    assert_eq!(hub.say(TOPIC, "two").await, Outcome::Quarantined(Reason::NotJson));
    let messages = hub.inbox(2).await;
    let mut payloads: Vec<_> = messages.iter().map(|message| message.payload.clone()).collect();
    payloads.sort();
    assert_eq!(payloads, [b"one", b"two"]);
}

#[tokio::test]
async fn a_device_that_sends_nonsense_for_ever_does_not_fill_the_disk() {
    let hub = Hub::with(Options { inbox_bytes_max: 10_000, ..options() }).await;
    for n in 0..40 {
        assert_eq!(hub.say(TOPIC, &format!("nonsense {n}")).await, Outcome::Quarantined(Reason::NotJson));
    }
    // The last one arrives, and of those before it as many are kept as fit: 256 bytes and a payload each.
    let kept = loop {
        let all = QuarantineFilter::default();
        let kept = hub.meta.quarantine_list(&TenantId::main(), &all, 100).await.unwrap();
        if kept.len() <= 37 && kept.iter().any(|message| message.payload == b"nonsense 39") {
            break kept;
        }
        tokio::task::yield_now().await;
    };
    assert!((30..=37).contains(&kept.len()), "{}", kept.len());
    assert!(kept.iter().all(|message| message.payload != b"nonsense 0"));
}

#[tokio::test]
async fn what_one_tenant_has_in_quarantine_no_other_replays() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":1}"#).await;
    hub.say(TOPIC, r#"{"ts":"1970-01-01T00:00:00Z","v":2}"#).await;
    let ids = vec![hub.inbox(1).await[0].id.clone()];
    let other: TenantId = "other".parse().unwrap();
    let report = hub.ingest.replay(&other, &ids).await.unwrap();
    assert_eq!(report, ReplayReport::default());
    assert!(hub.batches_of(&other, "s").is_empty());
    hub.inbox(1).await;
}

#[tokio::test]
async fn what_came_before_the_clock_was_set_can_be_replayed() {
    let clock = Arc::new(ManualClock::at(Timestamp(60_000_000)));
    let log = Arc::new(MemoryLog::new(Arc::clone(&clock) as Arc<dyn Clock>, None));
    let meta = Arc::new(SqliteMeta::in_memory().await.unwrap());
    let hub = Hub::over(options(), meta, log, clock).await;
    hub.say(TOPIC, r#"{"v":1,"ts":"2026-01-01T11:59:00Z"}"#).await;
    hub.say(TOPIC, r#"{"v":2}"#).await;
    let waiting = hub.inbox(1).await;
    assert_eq!(waiting[0].reason, "time_out_of_range");
    let noon = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
    hub.clock.advance_micros(noon.micros() - 60_000_000);
    let report = hub.ingest.replay(&TenantId::main(), &[waiting[0].id.clone()]).await.unwrap();
    assert_eq!(report, ReplayReport { replayed: 1, still_failing: 0 });
    assert_eq!(hub.times("s"), [noon.plus_micros(-60_000_000), noon]);
}
