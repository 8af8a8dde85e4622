//! Subscriptions, retained messages, aliases (MQTT 5 §3.3, §3.8, §4.7, §4.8).

use std::time::Duration;

use springhouse_mqtt::Options;

use crate::client::{Client, PUBACK, PUBREC, ack, packet, publish, publish_with, publish3, text, v3, v5};
use crate::house::Hub;

async fn pair(hub: &Hub) -> (Client, Client) {
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one")).await;
    other.enter(&v5("other")).await;
    (one, other)
}

const RETAIN: u8 = 1;

#[tokio::test]
async fn a_message_comes_with_the_lower_of_both_qos() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    for (options, sent, received) in [(0, 1, 0), (1, 0, 0), (2, 1, 1), (1, 2, 1), (2, 2, 2)] {
        assert_eq!(one.subscribe("x", options).await, options);
        other.send(&publish("x", sent, 3, "1")).await;
        if sent > 0 {
            other.expect_ack(if sent == 1 { PUBACK } else { PUBREC }, 3).await;
        }
        if sent == 2 {
            other.send(&ack(crate::client::PUBREL, 3)).await;
            other.expect_ack(crate::client::PUBCOMP, 3).await;
        }
        assert_eq!(one.message().await.qos, received);
    }
}

#[tokio::test]
async fn overlapping_subscriptions_give_one_message_with_all_identifiers() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    for (filter, id, qos) in [("a/#", 2, 0), ("a/+", 3, 1), ("+/b", 0, 0)] {
        let mut body = vec![0, 9];
        body.extend_from_slice(if id == 0 { &[0] } else { &[2, 0x0b] });
        body.extend((id != 0).then_some(id));
        body.extend(text(filter));
        body.push(qos);
        one.send(&packet(0x82, &body)).await;
        one.expect(0x90, &[0, 9, 0, qos]).await;
    }
    other.deliver("a/b", "1").await;
    let message = one.message().await;
    assert_eq!(message.qos, 1);
    let mut ids: Vec<u8> = message.properties.chunks(2).map(|property| property[1]).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    one.hears_nothing().await;
}

#[tokio::test]
async fn unsubscribing_ends_it_and_says_whether_there_was_something() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    one.subscribe("x", 1).await;
    let mut body = vec![0, 4, 0];
    body.extend(text("x"));
    body.extend(text("y"));
    one.send(&packet(0xa2, &body)).await;
    one.expect(0xb0, &[0, 4, 0, 0, 0x11]).await;
    other.deliver("x", "1").await;
    one.hears_nothing().await;
}

#[tokio::test]
async fn a_retained_message_greets_new_subscribers_until_it_is_removed() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    other.send(&publish_with("r/1", RETAIN | 2, 3, &[], "kept")).await;
    other.expect_ack(PUBACK, 3).await;
    one.send(&packet(0x82, &[&[0, 9, 0], &text("r/#")[..], &[1]].concat())).await;
    one.expect(0x90, &[0, 9, 0, 1]).await;
    let message = one.message().await;
    assert_eq!((message.payload.as_str(), message.retain, message.qos), ("kept", true, 1));
    // One who is subscribed already gets it as an ordinary message.
    other.send(&publish_with("r/1", RETAIN, 0, &[], "newer")).await;
    assert!(!one.message().await.retain);
    other.send(&publish_with("r/1", RETAIN, 0, &[], "")).await;
    assert_eq!(one.message().await.payload, "");
    other.subscribe("r/#", 0).await;
    other.hears_nothing().await;
}

#[tokio::test]
async fn retain_handling_and_retain_as_published_are_heeded() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    other.send(&publish_with("r", RETAIN | 2, 3, &[], "kept")).await;
    other.expect_ack(PUBACK, 3).await;
    one.subscribe("r", 0x20).await;
    one.hears_nothing().await;
    one.subscribe("r", 0x10).await;
    one.hears_nothing().await;
    one.subscribe("r", 0x08).await;
    assert_eq!(one.message().await.payload, "kept");
    other.send(&publish_with("r", RETAIN, 0, &[], "2")).await;
    assert!(one.message().await.retain);
    other.send(&publish("r", 0, 0, "3")).await;
    assert!(!one.message().await.retain);
}

#[tokio::test(start_paused = true)]
async fn messages_expire_where_they_wait() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    let mut sleeper = hub.dial();
    sleeper.enter(&v5("sleeper").expiry(1000)).await;
    sleeper.subscribe("e/#", 1).await;
    sleeper.leave().await;
    let expires_in = |seconds: u8| [0x02, 0, 0, 0, seconds];
    other.send(&publish_with("e/1", RETAIN | 2, 1, &expires_in(5), "short")).await;
    other.expect_ack(PUBACK, 1).await;
    other.send(&publish_with("e/2", RETAIN | 2, 1, &expires_in(60), "long")).await;
    other.expect_ack(PUBACK, 1).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    one.subscribe("e/#", 0).await;
    let mut sleeper = hub.dial();
    sleeper.enter(&v5("sleeper").expiry(1000).resume()).await;
    let message = sleeper.message().await;
    assert_eq!(message.payload, "long");
    // What is left of its time goes along.
    let left = u32::from_be_bytes(message.properties[1..5].try_into().unwrap());
    assert!((40..=50).contains(&left), "{left}");
    sleeper.hears_nothing().await;
}

#[tokio::test]
async fn no_local_spares_one_ones_own_messages() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    one.subscribe("x", 0x04).await;
    one.deliver("x", "own").await;
    one.hears_nothing().await;
    other.deliver("x", "foreign").await;
    assert_eq!(one.message().await.payload, "foreign");
}

#[tokio::test]
async fn a_shared_subscription_gives_each_message_to_one_member() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    for member in [&mut one, &mut other] {
        member.subscribe("$share/g/x", 0).await;
    }
    let mut publisher = hub.dial();
    publisher.enter(&v5("publisher")).await;
    for _ in 0..4 {
        publisher.deliver("x", "1").await;
    }
    for member in [&mut one, &mut other] {
        member.message().await;
        member.message().await;
        member.hears_nothing().await;
    }
    let options_no_local = [&[0, 9, 0], &text("$share/g/x")[..], &[4]].concat();
    one.send(&packet(0x82, &options_no_local)).await;
    one.is_sent_away(0x82).await;
}

#[tokio::test]
async fn properties_are_passed_on_in_their_order() {
    let hub = Hub::new().await;
    let (mut one, mut other) = pair(&hub).await;
    one.subscribe("x", 0).await;
    let mut properties = vec![0x01, 1, 0x26];
    properties.extend([text("b"), text("2")].concat());
    properties.push(0x26);
    properties.extend([text("a"), text("1")].concat());
    properties.push(0x08);
    properties.extend(text("answers/here"));
    properties.push(0x09);
    properties.extend(text("c-7"));
    let mut sent = properties.clone();
    sent.extend_from_slice(&[0x23, 0, 1]);
    sent.push(0x03);
    sent.extend(text("json"));
    other.send(&publish_with("x", 0, 0, &sent, "1")).await;
    properties.push(0x03);
    properties.extend(text("json"));
    assert_eq!(one.message().await.properties, properties);
}

#[tokio::test]
async fn a_client_may_use_aliases_and_is_given_some() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").property(&[0x22, 0, 1])).await;
    one.subscribe("#", 0).await;
    other.enter(&v5("other")).await;
    other.send(&publish_with("long/topic", 0, 0, &[0x23, 0, 3], "1")).await;
    other.send(&publish_with("", 0, 0, &[0x23, 0, 3], "2")).await;
    let first = one.message().await;
    assert_eq!((first.topic.as_str(), &first.properties[..]), ("long/topic", &[0x23, 0, 1][..]));
    let second = one.message().await;
    assert_eq!((second.topic.as_str(), second.payload.as_str()), ("", "2"));
    assert_eq!(second.properties, [0x23, 0, 1]);
    other.send(&publish("another", 0, 0, "3")).await;
    let third = one.message().await;
    assert_eq!((third.topic.as_str(), third.properties.len()), ("another", 0));
    assert_eq!(hub.house.stored()[1].0, "long/topic");
    for alias in [[0x23, 0, 0], [0x23, 0, 33]] {
        let mut wrong = hub.dial();
        wrong.enter(&v5("wrong")).await;
        wrong.send(&publish_with("t", 0, 0, &alias, "1")).await;
        wrong.is_sent_away(0x94).await;
    }
    let mut unknown = hub.dial();
    unknown.enter(&v5("unknown")).await;
    unknown.send(&publish_with("", 0, 0, &[0x23, 0, 9], "1")).await;
    unknown.is_sent_away(0x82).await;
}

#[tokio::test]
async fn subscriptions_that_are_not_allowed_are_refused_one_by_one() {
    let options = Options {
        refused_filters: vec!["test/nosubscribe".into()],
        subscriptions_max: 2,
        ..Options::default()
    };
    let hub = Hub::with(options).await;
    let mut device = hub.dial();
    device.enter(&v5("a").user("device/a")).await;
    assert_eq!(device.subscribe("devices/a/#", 1).await, 1);
    assert_eq!(device.subscribe("devices/b/#", 1).await, 0x87);
    assert_eq!(device.subscribe("test/nosubscribe", 1).await, 0x80);
    assert_eq!(device.subscribe("a/#/b", 1).await, 0x8f);
    assert_eq!(device.subscribe("devices/a/x", 1).await, 1);
    assert_eq!(device.subscribe("devices/a/y", 1).await, 0x97);
    let mut old = hub.dial();
    old.enter(&v3("old").user("device/a")).await;
    assert_eq!(old.subscribe3("devices/b/#", 1).await, 0x80);
}

#[tokio::test]
async fn both_versions_understand_each_other() {
    let hub = Hub::new().await;
    let (mut old, mut new) = (hub.dial(), hub.dial());
    old.enter(&v3("old")).await;
    new.enter(&v5("new")).await;
    old.subscribe3("x", 1).await;
    new.subscribe("x", 0x05).await;
    new.send(&publish_with("x", 2, 1, &[0x01, 1], "from 5")).await;
    new.expect_ack(PUBACK, 1).await;
    assert_eq!(old.message3().await.payload, "from 5");
    old.send(&publish3("x", 0, 0, "from 3")).await;
    assert_eq!(old.message3().await.payload, "from 3");
    assert_eq!(new.message().await.payload, "from 3");
}
