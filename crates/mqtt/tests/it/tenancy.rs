//! Who may do what, and that tenants do not meet.

use springhouse_mqtt::Options;

use crate::client::{PUBACK, PUBREC, publish, publish3, v3, v5};
use crate::house::Hub;

#[tokio::test]
async fn a_device_publishes_its_own_topics_only() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v5("a").user("device/a")).await;
    device.send(&publish("devices/b/meter", 1, 1, "1")).await;
    device.expect(PUBACK, &[0, 1, 0x87]).await;
    device.send(&publish("devices/b/meter", 2, 2, "1")).await;
    device.expect(PUBREC, &[0, 2, 0x87]).await;
    device.send(&publish("devices/b/meter", 0, 0, "1")).await;
    device.send(&publish("$SYS/x", 1, 3, "1")).await;
    device.expect(PUBACK, &[0, 3, 0x87]).await;
    device.deliver("devices/a/meter", "1").await;
    assert_eq!(hub.house.stored().len(), 1);
}

#[tokio::test]
async fn mqtt_3_has_no_word_for_a_refusal() {
    let hub = Hub::new().await;
    let mut device = hub.dial();
    device.enter(&v3("a").user("device/a")).await;
    device.send(&publish3("devices/b/meter", 1, 1, "1")).await;
    device.expect_ack(PUBACK, 1).await;
    assert!(hub.house.stored().is_empty());
}

#[tokio::test]
async fn what_the_door_refuses_is_neither_kept_nor_passed_on() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("one").expiry(100)).await;
    one.subscribe("refused/#", 2).await;
    other.enter(&v5("other").expiry(100)).await;
    other.send(&publish("refused/x", 1, 1, "1")).await;
    other.expect(PUBACK, &[0, 1, 0x87]).await;
    other.send(&publish("refused/x", 2, 2, "1")).await;
    other.expect(PUBREC, &[0, 2, 0x87]).await;
    one.hears_nothing().await;
    // The identifier is free again.
    other.send(&publish("other/x", 2, 2, "1")).await;
    other.expect_ack(PUBREC, 2).await;
}

#[tokio::test]
async fn tenants_do_not_meet() {
    let hub = Hub::new().await;
    let (mut red, mut blue) = (hub.dial(), hub.dial());
    red.enter(&v5("same").user("tenant/red")).await;
    blue.enter(&v5("same").user("tenant/blue")).await;
    red.subscribe("#", 1).await;
    blue.send(&publish_retained("x", "blue")).await;
    blue.hears_nothing().await;
    red.hears_nothing().await;
    red.subscribe("x", 1).await;
    red.hears_nothing().await;
    blue.subscribe("x", 0).await;
}

fn publish_retained(topic: &str, payload: &str) -> Vec<u8> {
    crate::client::publish_with(topic, 1, 0, &[], payload)
}

#[tokio::test]
async fn a_client_id_does_not_open_the_session_of_another_principal() {
    let hub = Hub::new().await;
    let (mut one, mut other) = (hub.dial(), hub.dial());
    one.enter(&v5("shared").user("device/one").expiry(100)).await;
    assert!(!other.enter(&v5("shared").user("device/other").expiry(100).resume()).await);
    one.hears_nothing().await;
    other.hears_nothing().await;
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_any_more_is_not_resumed() {
    let hub = Hub::new().await;
    let mut client = hub.dial();
    client.enter(&v5("a").expiry(100)).await;
    client.subscribe("open/#", 1).await;
    client.subscribe("secret/#", 1).await;
    client.leave().await;
    hub.house.allow("open/#");
    let mut client = hub.dial();
    assert!(client.enter(&v5("a").expiry(100).resume()).await);
    let mut other = hub.dial();
    other.enter(&v5("other").user("tenant/main")).await;
    other.deliver("secret/x", "1").await;
    other.deliver("open/x", "2").await;
    assert_eq!(client.message().await.payload, "2");
    client.hears_nothing().await;
}

#[tokio::test]
async fn one_device_does_not_use_up_the_sessions_of_all() {
    let hub = Hub::with(Options { device_sessions_max: 2, ..Options::default() }).await;
    for id in ["1", "2"] {
        let mut client = hub.dial();
        client.enter(&v5(id).user("device/a").expiry(100)).await;
        client.leave().await;
    }
    assert_eq!(hub.dial().connect(&v5("3").user("device/a")).await.body[1], 0x97);
    assert!(hub.dial().enter(&v5("1").user("device/a").resume()).await, "its own session is there");
    hub.dial().enter(&v5("3").user("device/ab")).await;
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let hub = Hub::new().await;
    for (user, five, three) in [("wrong", 0x86, 4), ("banned", 0x8a, 5), ("nobody", 0x87, 5)] {
        let mut client = hub.dial();
        assert_eq!(client.connect(&v5("a").user(user)).await.body[1], five);
        client.is_closed().await;
        let mut client = hub.dial();
        assert_eq!(client.connect(&v3("a").user(user)).await.body, [0, three]);
        client.is_closed().await;
    }
}
