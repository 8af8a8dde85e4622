//! Wills: published when a client is lost, not when it leaves (MQTT 5 §3.1.2.5, §3.1.3.2.2).

use std::time::Duration;

use crate::client::{Client, packet, v3, v5};
use crate::house::Hub;

async fn witness(hub: &Hub) -> Client {
    let mut witness = hub.dial();
    witness.enter(&v5("witness")).await;
    witness.subscribe("will", 0).await;
    witness
}

#[tokio::test]
async fn a_lost_clients_will_is_published_and_is_a_reading() {
    let hub = Hub::new().await;
    let mut witness = witness(&hub).await;
    for connect in [v5("a").will("will", "gone", 0), v3("b").will("will", "gone", 0)] {
        let mut client = hub.dial();
        client.enter(&connect).await;
        drop(client);
        assert_eq!(witness.message().await.payload, "gone");
    }
    assert_eq!(hub.house.stored().len(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_will_along_unless_it_says_otherwise() {
    let hub = Hub::new().await;
    let mut witness = witness(&hub).await;
    let mut client = hub.dial();
    client.enter(&v5("a").will("will", "gone", 0)).await;
    client.leave().await;
    witness.hears_nothing().await;
    let mut client = hub.dial();
    client.enter(&v5("a").will("will", "said so", 0)).await;
    client.send(&packet(0xe0, &[4])).await;
    assert_eq!(witness.message().await.payload, "said so");
}

#[tokio::test(start_paused = true)]
async fn a_will_waits_for_its_delay_or_the_sessions_end() {
    let hub = Hub::new().await;
    let mut witness = witness(&hub).await;
    for (delay_s, expiry_s, expected_s) in [(5, 100, 5), (100, 7, 7), (5, 0, 0)] {
        let mut client = hub.dial();
        client.enter(&v5("a").expiry(expiry_s).will("will", "late", delay_s)).await;
        let lost_at = tokio::time::Instant::now();
        drop(client);
        assert_eq!(witness.message().await.payload, "late");
        assert_eq!(lost_at.elapsed().as_secs(), expected_s);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_in_time_is_not_mourned() {
    let hub = Hub::new().await;
    let mut witness = witness(&hub).await;
    let mut client = hub.dial();
    client.enter(&v5("a").expiry(100).will("will", "late", 5)).await;
    drop(client);
    let mut client = hub.dial();
    client.enter(&v5("a").expiry(100).resume()).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    witness.hears_nothing().await;
    client.hears_nothing().await;
}

#[tokio::test]
async fn a_protocol_error_publishes_the_will() {
    let hub = Hub::new().await;
    let mut witness = witness(&hub).await;
    let mut client = hub.dial();
    client.enter(&v5("a").will("will", "gone", 0)).await;
    client.send(&packet(0x10, b"")).await;
    client.is_sent_away(0x82).await;
    assert_eq!(witness.message().await.payload, "gone");
}

#[tokio::test]
async fn a_will_for_a_topic_that_is_not_ones_own_is_refused() {
    let hub = Hub::new().await;
    let connack = hub.dial().connect(&v5("a").will("devices/b/x", "1", 0).user("device/a")).await;
    assert_eq!(connack.body[1], 0x87);
    hub.dial().enter(&v5("a").will("devices/a/x", "1", 0).user("device/a")).await;
}
