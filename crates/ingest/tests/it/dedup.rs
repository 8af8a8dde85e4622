//! A message with an id is stored once, however often it comes.

use std::sync::Arc;

use springhouse_ingest::{Ingest, IngestError, Options, Outcome};
use springhouse_meta::SqliteMeta;

use crate::hub::{Hub, options, with_id};

const TOPIC: &str = "devices/d/s";

#[tokio::test]
async fn a_repeated_id_is_a_duplicate_also_after_a_restart() {
    let hub = Hub::new().await;
    let message = with_id(hub.message(TOPIC, r#"[{"v":1},{"v":2}]"#), "m1");
    assert_eq!(
        hub.send(&[message.clone(), message.clone()]).await,
        [Outcome::Accepted { rows: 2 }, Outcome::Duplicate]
    );
    assert_eq!(hub.texts("s", "_id"), vec![Some("m1".to_owned()); 2]);
    let hub = hub.restarted().await;
    assert_eq!(hub.send(&[message]).await, [Outcome::Duplicate]);
    assert_eq!(hub.rows("s"), 2);
    assert_eq!(hub.ingest.stats().duplicates, 1);
}

#[tokio::test]
async fn a_quarantined_id_is_not_quarantined_twice() {
    let hub = Hub::new().await;
    let good = hub.message(TOPIC, r#"{"v":1}"#);
    let bad = with_id(hub.message(TOPIC, "nonsense"), "m2");
    let outcomes = hub.send(&[good, bad.clone(), bad.clone()]).await;
    assert_eq!(outcomes[2], Outcome::Duplicate);
    let hub = hub.restarted().await;
    assert_eq!(hub.send(&[bad]).await, [Outcome::Duplicate]);
    assert_eq!(hub.reasons().len(), 1);
}

#[tokio::test]
async fn ids_of_different_devices_are_different() {
    let hub = Hub::new().await;
    let one = with_id(hub.message("devices/a/s", r#"{"v":1}"#), "same");
    let two = with_id(hub.message("devices/b/s", r#"{"v":1}"#), "same");
    assert_eq!(hub.send(&[one, two]).await, vec![Outcome::Accepted { rows: 1 }; 2]);
}

#[tokio::test]
async fn an_id_is_forgotten_after_the_window() {
    let hub = Hub::with(Options { dedup_ids: 2, ..options() }).await;
    let message = |id: &str| with_id(hub.message(TOPIC, r#"{"v":1}"#), id);
    let outcomes = hub.send(&[message("1"), message("2"), message("3"), message("1")]).await;
    assert_eq!(outcomes[3], Outcome::Accepted { rows: 1 }, "two ids have come since");
    hub.clock.advance_micros(3_601_000_000);
    assert_eq!(hub.send(&[message("1")]).await, [Outcome::Accepted { rows: 1 }], "an hour has passed");
}

#[tokio::test]
async fn what_cannot_name_a_message_makes_none_a_repetition() {
    let hub = Hub::new().await;
    for id in ["", &"x".repeat(129), "a\nb"] {
        let message = with_id(hub.message(TOPIC, r#"{"v":1}"#), id);
        assert_eq!(hub.send(&[message.clone(), message]).await, vec![Outcome::Accepted { rows: 1 }; 2]);
    }
    assert_eq!(hub.texts("s", "_id"), vec![None; 6]);
}

#[tokio::test]
async fn a_start_knows_who_was_heard_just_before_the_end() {
    let hub = Hub::new().await;
    hub.say(TOPIC, r#"{"v":1}"#).await;
    let heard = hub.device("d").last_seen();
    assert!(heard.is_some());
    let hub = hub.killed().await;
    assert_eq!(hub.device("d").last_seen(), heard);
}

#[tokio::test]
async fn a_start_reads_back_a_bounded_part_of_the_log() {
    let hub = Hub::with(Options { dedup_bytes_max: 1, ..options() }).await;
    for number in 0..200 {
        hub.send(&[with_id(hub.message(TOPIC, r#"{"v":1}"#), &number.to_string())]).await;
    }
    assert!(hub.records().len() >= 200, "a record for each");
    let hub = hub.restarted().await;
    let message = |id: &str| with_id(hub.message(TOPIC, r#"{"v":1}"#), id);
    let outcomes = hub.send(&[message("199"), message("0")]).await;
    assert_eq!(outcomes, [Outcome::Duplicate, Outcome::Accepted { rows: 1 }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_deliveries_at_once_one_gets_in() {
    let hub = Hub::with(Options { shards: 4, ..options() }).await;
    hub.say(TOPIC, r#"{"v":0}"#).await;
    let senders = (0..8).map(|sender| {
        let ingest = hub.ingest.clone();
        let messages: Vec<_> =
            (0..200).map(|n| with_id(hub.message(TOPIC, r#"{"v":1}"#), &format!("m{n}"))).collect();
        let mut who = crate::hub::gateway();
        who.subject = springhouse_policy::Subject::Token { id: format!("t{sender}"), name: "x".to_owned() };
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            let commit = ingest.accept(&who, &messages, &mut outcomes).await.unwrap();
            ingest.durable(commit).await.unwrap();
            outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted { .. })).count()
        })
    });
    let mut accepted = 0;
    for sender in senders.collect::<Vec<_>>() {
        accepted += sender.await.unwrap();
    }
    assert_eq!((accepted, hub.rows("s")), (200, 201));
}

#[tokio::test]
async fn a_log_with_streams_that_meta_does_not_know_is_refused() {
    let hub = Hub::new().await;
    hub.send(&[hub.message(TOPIC, r#"{"v":1}"#)]).await;
    hub.ingest.close().await;
    // A meta from before the stream was registered.
    let older = SqliteMeta::in_memory().await.unwrap();
    let error = Ingest::open(hub.options, Arc::new(older), hub.log, hub.clock).await.err().unwrap();
    assert!(matches!(error, IngestError::MetaBehind { stream: 2, highest: 1, .. }), "{error}");
    assert!(error.to_string().contains("restore both"), "{error}");
}
