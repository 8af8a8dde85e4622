//! Queues have bounds; a slow client loses what may be lost, and slows nobody (MQTT 5 §4.9, §3.1.2.11).

use springhouse_mqtt::Options;

use crate::client::{PUBACK, PUBREC, ack, publish, v5};
use crate::house::Hub;

#[tokio::test]
async fn the_clients_receive_maximum_is_kept() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").property(&[0x21, 0, 2])).await;
    one.subscribe("x", 2).await;
    other.enter(&v5("other")).await;
    for payload in ["1", "2", "3"] {
        other.deliver("x", payload).await;
    }
    let (first, second) = (one.message().await, one.message().await);
    assert_eq!((first.payload.as_str(), second.payload.as_str()), ("1", "2"));
    one.hears_nothing().await;
    one.send(&ack(PUBACK, second.packet_id)).await;
    assert_eq!(one.message().await.payload, "3");
}

#[tokio::test]
async fn a_qos_2_message_holds_its_slot_until_pubcomp() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").property(&[0x21, 0, 1])).await;
    one.subscribe("x", 2).await;
    other.enter(&v5("other")).await;
    for id in [1, 2] {
        other.send(&publish("x", 2, id, "m")).await;
        other.expect_ack(PUBREC, id).await;
    }
    let first = one.message().await.packet_id;
    one.send(&ack(PUBREC, first)).await;
    one.expect_ack(crate::client::PUBREL, first).await;
    one.hears_nothing().await;
    one.send(&ack(crate::client::PUBCOMP, first)).await;
    one.message().await;
}

#[tokio::test]
async fn more_messages_in_flight_than_agreed_end_the_connection() {
    let hub = Hub::with(Options { receive_max: 3, ..Options::default() }).await;
    let mut client = hub.dial();
    let connack = client.connect(&v5("a")).await;
    assert!(connack.body.windows(3).any(|property| property == [0x21, 0, 3]));
    for id in 1..=3 {
        client.send(&publish("x", 2, id, "m")).await;
        client.expect_ack(PUBREC, id).await;
    }
    client.send(&publish("x", 1, 4, "m")).await;
    client.is_sent_away(0x93).await;
}

#[tokio::test]
async fn a_slow_subscriber_loses_qos_0_first_and_slows_nobody() {
    let hub = Hub::with(Options { queued_bytes_max: 64 * 1024, ..Options::default() }).await;
    let (mut slow, mut publisher) = (hub.dial(), hub.dial());
    slow.enter(&v5("slow").property(&[0x21, 0, 1])).await;
    slow.subscribe("x", 1).await;
    publisher.enter(&v5("publisher")).await;
    // The first takes the window; nothing follows it until it is acknowledged.
    publisher.deliver("x", "window").await;
    publisher.deliver("x", "waits").await;
    let large = "x".repeat(1000);
    for _ in 0..200 {
        publisher.send(&publish("x", 0, 0, &large)).await;
    }
    publisher.deliver("x", "kept").await;
    let first = slow.message().await;
    slow.send(&ack(PUBACK, first.packet_id)).await;
    let second = slow.message().await;
    assert_eq!(second.payload, "waits");
    slow.send(&ack(PUBACK, second.packet_id)).await;
    let mut dropped = 200;
    loop {
        let message = slow.message().await;
        if message.payload == "kept" {
            break;
        }
        dropped -= 1;
    }
    assert!((100..200).contains(&dropped), "{dropped} of 200 dropped");
}

#[tokio::test]
async fn messages_too_large_for_the_client_are_left_out() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").property(&[0x27, 0, 0, 0, 40])).await;
    one.subscribe("x", 1).await;
    other.enter(&v5("other")).await;
    other.deliver("x", &"x".repeat(50)).await;
    other.deliver("x", "small").await;
    assert_eq!(one.message().await.payload, "small");
}

#[tokio::test]
async fn a_packet_larger_than_allowed_ends_the_connection() {
    let hub = Hub::with(Options { packet_bytes_max: 1000, ..Options::default() }).await;
    let mut client = hub.dial();
    let connack = client.connect(&v5("a")).await;
    assert!(connack.body.windows(5).any(|property| property == [0x27, 0, 0, 3, 0xe8]));
    client.deliver("x", &"x".repeat(980)).await;
    client.send(&publish("x", 1, 1, &"x".repeat(1000))).await;
    client.is_sent_away(0x95).await;
}
