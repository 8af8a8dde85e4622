//! What a session was promised survives a kill of the hub, and what was not promised may be lost.

use std::path::Path;
use std::time::Duration;

use springhouse_mqtt::Options;

use crate::client::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, publish, publish_with, v5};
use crate::house::Hub;

fn options(folder: &Path) -> Options {
    // No snapshot by itself: the tests decide when.
    let snapshot_interval = Duration::from_secs(1_000_000);
    Options { snapshot: Some(folder.join("sessions.snap")), snapshot_interval, ..Options::default() }
}

async fn begin(folder: &Path) -> Hub {
    Hub::with(options(folder)).await
}

#[tokio::test]
async fn qos2_publish_repeated_after_reconnect_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = begin(folder.path()).await;
    for saves in [false, true] {
        let mut device = hub.dial();
        device.enter(&v5("a").expiry(100).resume()).await;
        device.send(&publish("devices/a/meter", 2, 5, "1")).await;
        device.expect_ack(PUBREC, 5).await;
        if saves {
            hub.gateway.save().await.unwrap();
        }
        hub = hub.after_crash(options(folder.path())).await;
        let stored = hub.house.stored().len();
        let mut device = hub.dial();
        assert!(device.enter(&v5("a").expiry(100).resume()).await);
        device.send(&publish_with("devices/a/meter", 0x0c, 5, &[], "1")).await;
        device.expect_ack(PUBREC, 5).await;
        assert_eq!(hub.house.stored().len(), stored);
        device.send(&ack(PUBREL, 5)).await;
        device.expect_ack(PUBCOMP, 5).await;
        drop(device);
        hub = hub.after_crash(options(folder.path())).await;
        // The identifier was released: the next message under it is another one.
        let mut device = hub.dial();
        device.enter(&v5("a").expiry(100).resume()).await;
        device.send(&publish("devices/a/meter", 2, 5, "2")).await;
        device.expect_ack(PUBREC, 5).await;
        device.send(&ack(PUBREL, 5)).await;
        device.expect_ack(PUBCOMP, 5).await;
        assert_eq!(hub.house.stored().len(), stored + 1);
    }
}

#[tokio::test]
async fn a_qos2_publish_that_was_lost_is_stored_when_it_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut device = hub.dial();
    device.enter(&v5("a").expiry(100)).await;
    hub.house.hold_commits();
    device.send(&publish("devices/a/meter", 2, 5, "1")).await;
    device.hears_nothing().await;
    // Neither the reading nor the identifier is durable.
    let hub = hub.after_crash(options(folder.path())).await;
    let mut device = hub.dial();
    assert!(device.enter(&v5("a").expiry(100).resume()).await);
    device.send(&publish_with("devices/a/meter", 0x0c, 5, &[], "1")).await;
    device.expect_ack(PUBREC, 5).await;
    assert_eq!(hub.house.stored().len(), 1);
}

#[tokio::test]
async fn subscriptions_and_waiting_messages_survive() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = begin(folder.path()).await;
    for saves in [false, true] {
        let mut sleeper = hub.dial();
        sleeper.enter(&v5("sleeper").expiry(100)).await;
        assert_eq!(sleeper.subscribe("x/+", 2).await, 2);
        assert_eq!(sleeper.subscribe("$share/g/y", 1).await, 1);
        sleeper.leave().await;
        let mut other = hub.dial();
        other.enter(&v5("other")).await;
        other.deliver("x/1", "one").await;
        other.send(&publish("x/2", 2, 2, "two")).await;
        other.expect_ack(PUBREC, 2).await;
        if saves {
            hub.gateway.save().await.unwrap();
        }
        other.deliver("y", "three").await;
        hub = hub.after_crash(options(folder.path())).await;
        let mut sleeper = hub.dial();
        assert!(sleeper.enter(&v5("sleeper").expiry(100).resume()).await);
        let messages = [sleeper.message().await, sleeper.message().await, sleeper.message().await];
        let payloads: Vec<&str> = messages.iter().map(|message| message.payload.as_str()).collect();
        assert_eq!(payloads, ["one", "two", "three"]);
        for message in messages {
            sleeper.send(&ack(if message.qos == 1 { PUBACK } else { PUBREC }, message.packet_id)).await;
            if message.qos == 2 {
                sleeper.expect_ack(PUBREL, message.packet_id).await;
                sleeper.send(&ack(PUBCOMP, message.packet_id)).await;
            }
        }
        sleeper.hears_nothing().await;
        // The subscriptions work on, and what was acknowledged does not come again.
        sleeper.deliver("x/3", "four").await;
        let four = sleeper.message().await;
        assert_eq!(four.payload, "four");
        sleeper.send(&ack(PUBACK, four.packet_id)).await;
        sleeper.hears_nothing().await;
        drop(sleeper);
        hub = hub.after_crash(options(folder.path())).await;
        let mut sleeper = hub.dial();
        assert!(sleeper.enter(&v5("sleeper").expiry(100).resume()).await);
        sleeper.hears_nothing().await;
        sleeper.leave().await;
    }
}

#[tokio::test]
async fn a_qos_2_message_that_the_client_has_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").expiry(100)).await;
    one.subscribe("x", 2).await;
    other.enter(&v5("other")).await;
    other.send(&publish("x", 2, 1, "once")).await;
    other.expect_ack(PUBREC, 1).await;
    let message = one.message().await;
    one.send(&ack(PUBREC, message.packet_id)).await;
    one.expect_ack(PUBREL, message.packet_id).await;
    let hub = hub.after_crash(options(folder.path())).await;
    let mut one = hub.dial();
    assert!(one.enter(&v5("one").expiry(100).resume()).await);
    one.expect_ack(PUBREL, message.packet_id).await;
    one.send(&ack(PUBCOMP, message.packet_id)).await;
    one.hears_nothing().await;
}

#[tokio::test]
async fn retained_messages_survive() {
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    for (topic, payload) in [("r/1", "one"), ("r/2", "two"), ("r/1", "")] {
        client.send(&publish_with(topic, 3, 1, &[], payload)).await;
        client.expect_ack(PUBACK, 1).await;
    }
    let hub = hub.after_crash(options(folder.path())).await;
    hub.gateway.shutdown().await.unwrap();
    let hub = hub.after_crash(options(folder.path())).await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    client.send(&crate::client::packet(0x82, b"\0\x09\0\0\x03r/#\0")).await;
    client.expect(0x90, &[0, 9, 0, 0]).await;
    assert_eq!(client.message().await.payload, "two");
    client.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_expire_over_a_restart_and_wills_go_out() {
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut short = hub.dial();
    short.enter(&v5("short").expiry(5)).await;
    short.leave().await;
    let mut long = hub.dial();
    long.enter(&v5("long").expiry(1000).will("will", "gone", 10)).await;
    let hub = hub.after_crash(options(folder.path())).await;
    let mut witness = hub.dial();
    witness.enter(&v5("witness")).await;
    witness.subscribe("will", 0).await;
    assert_eq!(witness.message().await.payload, "gone");
    assert!(!hub.dial().enter(&v5("short").expiry(5).resume()).await);
    assert!(hub.dial().enter(&v5("long").expiry(10).resume()).await);
}

#[tokio::test]
async fn a_session_without_expiry_leaves_nothing_in_the_journal() {
    use springhouse_log::Log;
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one")).await;
    one.subscribe("x", 2).await;
    other.enter(&v5("other")).await;
    other.send(&publish("x", 2, 1, "once")).await;
    other.expect_ack(PUBREC, 1).await;
    other.send(&ack(PUBREL, 1)).await;
    other.expect_ack(PUBCOMP, 1).await;
    one.message().await;
    one.leave().await;
    other.leave().await;
    assert_eq!(hub.house.log.end().0, 0);
}

#[tokio::test]
async fn many_retained_messages_for_a_new_subscription_are_journaled_in_parts() {
    use springhouse_log::Log;
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    let large = "x".repeat(300_000);
    for number in 0..10 {
        client.send(&publish_with(&format!("r/{number}"), 3, 1, &[], &large)).await;
        client.expect_ack(PUBACK, 1).await;
    }
    let before = hub.house.log.end();
    let mut reader = hub.dial();
    reader.enter(&v5("reader").expiry(100)).await;
    reader.send(&crate::client::packet(0x82, b"\0\x09\0\0\x03r/#\x01")).await;
    let mut end = hub.house.log.watch();
    let records = loop {
        let records = hub.house.log.read(before, usize::MAX).unwrap();
        if records.iter().map(|record| record.payload.len()).sum::<usize>() > 10 * large.len() {
            break records;
        }
        end.changed().await.unwrap();
    };
    assert!(records.iter().all(|record| record.payload.len() < 2 * 1024 * 1024), "small enough for any log");
    let hub = hub.after_crash(options(folder.path())).await;
    let mut reader = hub.dial();
    assert!(reader.enter(&v5("reader").expiry(100).resume()).await);
    for number in 0..10 {
        assert_eq!(reader.message().await.topic, format!("r/{number}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_will_that_the_door_refused_does_not_go_out_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut client = hub.dial();
    // Retained, so that it would be found whenever it went out.
    client.enter(&v5("a").expiry(100).will("refused/will", "gone", 1).flags(0x2e)).await;
    let mut batches = hub.house.batches.subscribe();
    drop(client);
    batches.wait_for(|count| *count == 1).await.unwrap();
    let mut witness = hub.dial();
    witness.enter(&v5("witness")).await;
    witness.hears_nothing().await;
    let hub = hub.after_crash(options(folder.path())).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let mut witness = hub.dial();
    witness.enter(&v5("witness")).await;
    witness.hears_nothing().await;
    witness.subscribe("refused/will", 0).await;
    witness.hears_nothing().await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_with_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut client = hub.dial();
    client.enter(&v5("a").expiry(100)).await;
    hub.gateway.shutdown().await.unwrap();
    let path = folder.path().join("sessions.snap");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[50] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let house = hub.house.after_crash();
    let opened =
        springhouse_mqtt::Gateway::open(house.clone(), house.log.clone(), options(folder.path())).await;
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("damaged") && error.contains("sessions.snap"), "{error}");
}

#[tokio::test]
async fn a_snapshot_lets_the_log_forget_the_journal_before_it() {
    use springhouse_log::Log;
    let folder = tempfile::tempdir().unwrap();
    let hub = begin(folder.path()).await;
    let mut client = hub.dial();
    client.enter(&v5("a").expiry(100)).await;
    client.subscribe("x", 1).await;
    let held = || hub.house.log.stats().holds[0].1;
    assert_eq!(held().0, 0);
    hub.gateway.save().await.unwrap();
    assert_eq!(held(), hub.house.log.end());
    assert!(held().0 > 0);
}
