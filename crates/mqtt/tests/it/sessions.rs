//! Sessions: resumed, taken over, expired, bounded (MQTT 5 §3.1.2.4, §3.1.2.11.2, §4.1).

use std::time::Duration;

use springhouse_mqtt::Options;

use crate::client::{PUBACK, PUBCOMP, PUBREC, PUBREL, ack, packet, publish, publish3, v3, v5};
use crate::house::Hub;

#[tokio::test]
async fn a_session_without_expiry_ends_with_its_connection() {
    let hub = Hub::new().await;
    let mut first = hub.dial();
    assert!(!first.enter(&v5("a")).await);
    first.leave().await;
    assert!(!hub.dial().enter(&v5("a").resume()).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_as_long_as_its_expiry() {
    let hub = Hub::new().await;
    let mut first = hub.dial();
    first.enter(&v5("a").expiry(10)).await;
    first.leave().await;
    tokio::time::advance(Duration::from_secs(9)).await;
    let mut second = hub.dial();
    assert!(second.enter(&v5("a").expiry(10).resume()).await);
    second.leave().await;
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(!hub.dial().enter(&v5("a").expiry(10).resume()).await);
}

#[tokio::test]
async fn a_clean_start_forgets_the_session() {
    let hub = Hub::new().await;
    let mut first = hub.dial();
    first.enter(&v3("a").resume()).await;
    first.subscribe3("x", 1).await;
    first.leave().await;
    let mut second = hub.dial();
    assert!(!second.enter(&v3("a")).await);
    second.send(&publish3("x", 1, 1, "1")).await;
    second.expect_ack(PUBACK, 1).await;
    second.hears_nothing().await;
}

#[tokio::test]
async fn a_second_connection_takes_over_the_first() {
    let hub = Hub::new().await;
    let (mut first, mut second) = (hub.dial(), hub.dial());
    first.enter(&v5("a").expiry(10)).await;
    first.subscribe("x", 1).await;
    assert!(second.enter(&v5("a").expiry(10).resume()).await);
    first.is_sent_away(0x8e).await;
    second.deliver("x", "mine").await;
    assert_eq!(second.message().await.payload, "mine");
}

#[tokio::test]
async fn messages_wait_for_a_client_that_is_away() {
    let hub = Hub::new().await;
    let mut sleeper = hub.dial();
    sleeper.enter(&v5("sleeper").expiry(100)).await;
    sleeper.subscribe("x/+", 2).await;
    sleeper.leave().await;
    let mut other = hub.dial();
    other.enter(&v5("other")).await;
    other.send(&publish("x/0", 0, 0, "not kept")).await;
    other.deliver("x/1", "one").await;
    other.send(&publish("x/2", 2, 2, "two")).await;
    other.expect_ack(PUBREC, 2).await;
    let mut sleeper = hub.dial();
    assert!(sleeper.enter(&v5("sleeper").expiry(100).resume()).await);
    let (one, two) = (sleeper.message().await, sleeper.message().await);
    assert_eq!((one.payload.as_str(), one.qos, one.dup), ("one", 1, false));
    assert_eq!((two.payload.as_str(), two.qos), ("two", 2));
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_with_its_identifier() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").expiry(100)).await;
    one.subscribe("x", 2).await;
    other.enter(&v5("other")).await;
    other.deliver("x", "first").await;
    other.send(&publish("x", 2, 1, "second")).await;
    other.expect_ack(PUBREC, 1).await;
    let (first, second) = (one.message().await, one.message().await);
    one.send(&ack(PUBREC, second.packet_id)).await;
    one.expect_ack(PUBREL, second.packet_id).await;
    drop(one);
    let mut one = hub.dial();
    assert!(one.enter(&v5("one").expiry(100).resume()).await);
    let again = one.message().await;
    assert_eq!((again.packet_id, again.dup, again.payload.as_str()), (first.packet_id, true, "first"));
    // Of the second message only PUBREL is repeated.
    one.expect_ack(PUBREL, second.packet_id).await;
    one.send(&ack(PUBCOMP, second.packet_id)).await;
    one.send(&ack(PUBACK, first.packet_id)).await;
    one.hears_nothing().await;
}

#[tokio::test]
async fn an_expiry_of_zero_cannot_be_raised_at_disconnect() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    client.send(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 9])).await;
    client.is_sent_away(0x82).await;
}

#[tokio::test]
async fn an_expiry_can_be_set_to_zero_at_disconnect() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a").expiry(100)).await;
    client.send(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 0])).await;
    client.is_closed().await;
    assert!(!hub.dial().enter(&v5("a").expiry(100).resume()).await);
}

#[tokio::test]
async fn the_number_of_sessions_is_bounded() {
    let hub = Hub::with(Options { sessions_max: 1, ..Options::default() }).await;
    let mut first = hub.dial();
    first.enter(&v5("a")).await;
    assert_eq!(hub.dial().connect(&v5("b")).await.body[1], 0x97);
    assert_eq!(hub.dial().connect(&v3("c")).await.body[1], 3);
    first.leave().await;
    hub.dial().enter(&v5("b")).await;
}

#[tokio::test]
async fn connections_of_one_peer_are_bounded() {
    let hub = Hub::with(Options { connections_per_peer_max: 1, ..Options::default() }).await;
    let mut first = hub.dial();
    first.enter(&v5("a")).await;
    let mut second = hub.dial();
    second.is_closed().await;
    first.hears_nothing().await;
    assert_eq!(hub.gateway.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_sent_away_after_one_and_a_half_keep_alives() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a").keep_alive(10)).await;
    tokio::time::advance(Duration::from_secs(14)).await;
    client.hears_nothing().await;
    tokio::time::advance(Duration::from_secs(14)).await;
    client.hears_nothing().await;
    let silent_since = tokio::time::Instant::now();
    client.is_sent_away(0x8d).await;
    assert_eq!(silent_since.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_the_gateway_does_not_read_is_not_called_silent() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a").keep_alive(10)).await;
    hub.house.fill();
    let mut batches = hub.house.batches.subscribe();
    client.send(&publish("devices/a/meter", 1, 1, "1")).await;
    batches.wait_for(|count| *count == 1).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    hub.house.empty();
    client.expect_ack(PUBACK, 1).await;
    client.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_dropped() {
    let hub = Hub::new().await;
    let mut mute = hub.dial();
    mute.is_closed().await;
}

#[tokio::test]
async fn whoever_lost_his_rights_is_disconnected() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").user("device/one")).await;
    other.enter(&v5("other").user("device/other")).await;
    let is_one =
        |who: &springhouse_policy::Principal| who.own_device().is_some_and(|id| id.as_str() == "one");
    assert!(hub.gateway.is_connected(is_one));
    assert_eq!(hub.gateway.disconnect(is_one), 1);
    one.is_sent_away(0x98).await;
    other.hears_nothing().await;
}

#[tokio::test]
async fn a_shutdown_tells_the_clients() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    let gateway = hub.gateway.clone();
    let shutdown = tokio::spawn(async move { gateway.shutdown().await });
    client.is_sent_away(0x8b).await;
    shutdown.await.unwrap().unwrap();
}
