//! An acknowledgement leaves when what it acknowledges is durable, and not before.

use crate::client::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, publish, publish_with, publish3, text, v3, v5};
use crate::house::Hub;

#[tokio::test]
async fn puback_waits_for_the_commit() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a")).await;
    hub.house.hold_commits();
    device.send(&publish("devices/a/meter", 1, 5, "1")).await;
    device.hears_nothing().await;
    hub.house.release_commits().await;
    device.expect_ack(PUBACK, 5).await;
    assert_eq!(hub.house.stored().len(), 1);
}

#[tokio::test]
async fn many_publishes_wait_for_one_commit_and_are_answered_in_order() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a")).await;
    hub.house.hold_commits();
    let burst: Vec<u8> = (1..=200).flat_map(|id| publish("devices/a/meter", 1, id, "1")).collect();
    device.send(&burst).await;
    device.hears_nothing().await;
    assert!(*hub.house.batches.borrow() < 20, "a batch holds many messages");
    hub.house.release_commits().await;
    for id in 1..=200 {
        device.expect_ack(PUBACK, id).await;
    }
}

#[tokio::test]
async fn publishing_goes_on_while_earlier_messages_wait_for_their_commit() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a")).await;
    hub.house.hold_commits();
    let mut batches = hub.house.batches.subscribe();
    for id in 1..=3 {
        device.send(&publish("devices/a/meter", 1, id, "1")).await;
        batches.wait_for(|count| *count == usize::from(id)).await.unwrap();
    }
    hub.house.release_commits().await;
    for id in 1..=3 {
        device.expect_ack(PUBACK, id).await;
    }
}

#[tokio::test]
async fn a_message_for_nobody_who_persists_is_acknowledged_at_once() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one")).await;
    other.enter(&v5("other")).await;
    other.subscribe("chat/#", 0).await;
    hub.house.hold_commits();
    one.send(&publish("chat/x", 1, 5, "hello")).await;
    one.expect_ack(PUBACK, 5).await;
    assert_eq!(other.message().await.payload, "hello");
}

#[tokio::test]
async fn pubrec_and_pubcomp_wait_for_the_commit_of_a_persistent_session() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a").expiry(100)).await;
    hub.house.hold_commits();
    device.send(&publish("devices/a/meter", 2, 5, "1")).await;
    device.hears_nothing().await;
    hub.house.release_commits().await;
    device.expect_ack(PUBREC, 5).await;
    hub.house.hold_commits();
    device.send(&ack(PUBREL, 5)).await;
    device.hears_nothing().await;
    hub.house.release_commits().await;
    device.expect_ack(PUBCOMP, 5).await;
}

#[tokio::test]
async fn a_repeated_qos_2_publish_is_stored_once_and_waits_like_the_first() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a").expiry(100)).await;
    hub.house.hold_commits();
    device.send(&publish("devices/a/meter", 2, 5, "1")).await;
    device.hears_nothing().await;
    drop(device);
    let mut again = hub.dial();
    assert!(again.enter(&v5("a").expiry(100).resume()).await);
    again.send(&publish_with("devices/a/meter", 0x0c, 5, &[], "1")).await;
    again.hears_nothing().await;
    hub.house.release_commits().await;
    again.expect_ack(PUBREC, 5).await;
    again.send(&ack(PUBREL, 5)).await;
    again.expect_ack(PUBCOMP, 5).await;
    assert_eq!(hub.house.stored().len(), 1);
    // The identifier is free for another message.
    again.send(&publish("devices/a/meter", 2, 5, "2")).await;
    again.expect_ack(PUBREC, 5).await;
    assert_eq!(hub.house.stored().len(), 2);
}

#[tokio::test]
async fn suback_of_a_persistent_session_waits_for_the_commit() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a").expiry(100)).await;
    hub.house.hold_commits();
    let mut body = vec![0, 9, 0];
    body.extend(text("x"));
    body.push(1);
    device.send(&crate::client::packet(0x82, &body)).await;
    device.hears_nothing().await;
    hub.house.release_commits().await;
    device.expect(0x90, &[0, 9, 0, 1]).await;
}

#[tokio::test]
async fn a_qos_2_message_is_not_passed_on_before_it_is_durable() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one")).await;
    other.enter(&v5("other")).await;
    other.subscribe("x", 2).await;
    hub.house.hold_commits();
    let mut batches = hub.house.batches.subscribe();
    one.send(&publish("x", 2, 5, "once")).await;
    batches.wait_for(|count| *count == 1).await.unwrap();
    one.hears_nothing().await;
    other.hears_nothing().await;
    hub.house.release_commits().await;
    assert_eq!(other.message().await.payload, "once");
}

#[tokio::test]
async fn a_poisoned_log_acknowledges_nothing_and_ends_the_connection() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a")).await;
    hub.house.hold_commits();
    device.send(&publish("devices/a/meter", 1, 5, "1")).await;
    device.hears_nothing().await;
    hub.house.poison();
    device.is_sent_away(0x83).await;
    let mut old = hub.dial();
    old.enter(&v3("old")).await;
    old.send(&publish3("devices/a/meter", 1, 5, "1")).await;
    old.is_closed().await;
    assert!(hub.house.stored().is_empty());
}

#[tokio::test]
async fn a_full_queue_slows_its_publisher_and_nothing_else() {
    let hub = Hub::new().await;
    let (mut publisher, mut listener) = (hub.dial(), hub.dial());
    publisher.enter(&v5("publisher")).await;
    listener.enter(&v5("listener")).await;
    hub.house.fill();
    let mut batches = hub.house.batches.subscribe();
    // QoS 0 as well: the socket is not read while the door has no room.
    publisher.send(&publish("devices/a/meter", 0, 0, "first")).await;
    batches.wait_for(|count| *count == 1).await.unwrap();
    publisher.send(&[0xc0, 0]).await;
    publisher.send(&publish("devices/a/meter", 1, 7, "second")).await;
    // Another client is served meanwhile.
    listener.hears_nothing().await;
    assert_eq!(listener.subscribe("y", 0).await, 0);
    assert_eq!(*hub.house.batches.borrow(), 1);
    hub.house.empty();
    publisher.expect(0xd0, &[]).await;
    publisher.expect_ack(PUBACK, 7).await;
    let payloads: Vec<String> = hub.house.stored().into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(payloads, ["first", "second"]);
}

#[tokio::test]
async fn a_blocked_publisher_still_hears_what_it_subscribed_to() {
    let hub = Hub::new().await;
    let (mut both, mut other) = (hub.dial(), hub.dial());
    both.enter(&v5("both")).await;
    other.enter(&v5("other")).await;
    both.subscribe("x", 0).await;
    other.send(&publish("x", 0, 0, "before")).await;
    assert_eq!(both.message().await.payload, "before");
    hub.house.hold_commits();
    let mut batches = hub.house.batches.subscribe();
    other.send(&publish("x", 1, 1, "meanwhile")).await;
    batches.wait_for(|count| *count == 2).await.unwrap();
    assert_eq!(both.message().await.payload, "meanwhile");
    hub.house.release_commits().await;
    other.expect_ack(PUBACK, 1).await;
}

#[tokio::test]
async fn a_message_id_reaches_the_door() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a")).await;
    let mut property = vec![0x26];
    property.extend(text("Message-Id"));
    property.extend(text("m-1"));
    device.send(&publish_with("devices/a/meter", 2, 1, &property, "{}")).await;
    device.expect_ack(PUBACK, 1).await;
    assert_eq!(hub.house.stored_inbound()[0].id.as_deref(), Some("m-1"));
}

#[tokio::test]
async fn what_the_door_failed_to_take_is_taken_when_it_is_repeated() {
    let hub = Hub::new().await;
    let (mut device, mut listener) = (hub.dial(), hub.dial());
    listener.enter(&v5("listener").expiry(100)).await;
    listener.subscribe("devices/a/#", 1).await;
    device.enter(&v5("a").expiry(100)).await;
    hub.house.take_at_most(1);
    let burst = [publish("devices/a/x", 2, 5, "first"), publish("devices/a/x", 2, 6, "second")].concat();
    device.send(&burst).await;
    device.is_sent_away(0x83).await;
    assert_eq!(hub.house.stored().len(), 1);
    hub.house.take_at_most(usize::MAX);
    let mut device = hub.dial();
    assert!(device.enter(&v5("a").expiry(100).resume()).await);
    for (id, payload) in [(5, "first"), (6, "second")] {
        device.send(&publish_with("devices/a/x", 0x0c, id, &[], payload)).await;
        device.expect_ack(PUBREC, id).await;
        device.send(&ack(PUBREL, id)).await;
        device.expect_ack(PUBCOMP, id).await;
    }
    let stored: Vec<String> = hub.house.stored().into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(stored, ["first", "second"]);
    assert_eq!([listener.message().await.payload, listener.message().await.payload], ["first", "second"]);
    listener.hears_nothing().await;
}
