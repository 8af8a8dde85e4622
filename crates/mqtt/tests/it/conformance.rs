//! The ground that the Eclipse suite covers and that no other file of these tests does.

use springhouse_mqtt::Options;

use crate::client::{PUBCOMP, PUBREL, ack, v3, v5};
use crate::house::Hub;

fn has_property(body: &[u8], property: &[u8]) -> bool {
    body.windows(property.len()).any(|window| window == property)
}

#[tokio::test]
async fn a_client_without_an_id_is_given_one() {
    let hub = Hub::new().await;
    let connack = hub.dial().connect(&v5("")).await;
    let at = connack.body.iter().position(|byte| *byte == 0x12).unwrap();
    assert!(connack.body[at + 2] > 20);
    // Also without clean start (§3.1.3.1): the session is simply new.
    let connack = hub.dial().connect(&v5("").resume()).await;
    assert_eq!(connack.body[..2], [0, 0]);
}

#[tokio::test]
async fn mqtt_3_wants_an_id_or_a_clean_session() {
    let hub = Hub::new().await;
    assert_eq!(hub.dial().connect(&v3("").resume()).await.body, [0, 2]);
    assert_eq!(hub.dial().connect(&v3("")).await.body, [0, 0]);
}

#[tokio::test]
async fn the_longest_keep_alive_is_told() {
    let hub = Hub::with(Options { keep_alive_max: Some(60), ..Options::default() }).await;
    for (wanted, is_told) in [(120, true), (0, true), (30, false)] {
        let connack = hub.dial().connect(&v5("a").keep_alive(wanted)).await;
        assert_eq!(has_property(&connack.body, &[0x13, 0, 60]), is_told, "{wanted}");
    }
}

#[tokio::test]
async fn a_shorter_expiry_than_asked_for_is_told() {
    let hub = Hub::with(Options { session_expiry_max: 100, ..Options::default() }).await;
    let connack = hub.dial().connect(&v5("a").expiry(u32::MAX)).await;
    assert!(has_property(&connack.body, &[0x11, 0, 0, 0, 100]));
    let connack = hub.dial().connect(&v5("b").expiry(50)).await;
    assert!(!has_property(&connack.body, &[0x11, 0, 0, 0]));
}

#[tokio::test]
async fn response_information_is_given_to_those_who_ask() {
    let hub = Hub::new().await;
    let connack = hub.dial().connect(&v5("a").user("device/a").property(&[0x19, 1])).await;
    assert!(has_property(&connack.body, b"devices/a/responses"));
    let connack = hub.dial().connect(&v5("a")).await;
    assert!(!has_property(&connack.body, b"responses"));
}

#[tokio::test]
async fn authentication_methods_are_refused() {
    let hub = Hub::new().await;
    let connack = hub.dial().connect(&v5("a").property(&[0x15, 0, 1, b'x'])).await;
    assert_eq!(connack.body[1], 0x8c);
}

#[tokio::test]
async fn acknowledgements_of_nothing_are_answered() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a")).await;
    client.send(&ack(PUBREL, 7)).await;
    client.expect(PUBCOMP, &[0, 7, 0x92]).await;
    client.send(&ack(crate::client::PUBREC, 8)).await;
    client.expect(PUBREL, &[0, 8, 0x92]).await;
    client.send(&ack(crate::client::PUBACK, 9)).await;
    client.send(&ack(PUBCOMP, 9)).await;
    client.hears_nothing().await;
    let mut old = hub.dial();
    old.enter(&v3("b")).await;
    old.send(&ack(PUBREL, 7)).await;
    old.expect_ack(PUBCOMP, 7).await;
}

#[tokio::test]
async fn wildcards_do_not_reach_topics_that_begin_with_a_dollar() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v3("a")).await;
    client.subscribe3("+/+", 2).await;
    client.subscribe3("#", 2).await;
    client.send(&crate::client::publish3("$TopicA/B", 1, 1, "")).await;
    client.expect_ack(crate::client::PUBACK, 1).await;
    client.hears_nothing().await;
}
