//! kill -9 while clients publish: what was acknowledged is there, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::v5;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::hub::House;

const KILLS: u64 = 20;
/// Clients of QoS 2, each with one message on its way.
const EXACTLY_ONCE: usize = 8;
/// Messages of a QoS 1 client that are on their way. Nothing more is handed to the client library: over a new
/// connection it sends what waits in its queue whatever is in flight, gives packet ids a second time (against MQTT
/// 3.1.1 §2.3.1) and forgets the messages that had them.
const INFLIGHT: u16 = 10;
/// Acknowledgements between two kills lie between these; drawn by a fixed recipe, so that a failure comes again.
const ACKS_MIN: u64 = 40;
const ACKS_SPREAD: u64 = 400;
/// A client tries again this soon after its connection broke.
const RECONNECT: Duration = Duration::from_millis(20);

/// What a client has seen. `published` counts what was handed to it, `acknowledged` what came back for good.
#[derive(Default)]
struct Progress {
    published: AtomicU64,
    acknowledged: AtomicU64,
    moved: Notify,
}

impl Progress {
    fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    async fn reaches(&self, wanted: u64) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.acknowledged.load(Ordering::SeqCst) >= wanted {
                return;
            }
            moved.await;
        }
    }
}

/// A publisher of 0, 1, 2, … that goes on until it is told to stop.
struct Publisher {
    device: String,
    stream: &'static str,
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    feeding: JoinHandle<()>,
    polling: JoinHandle<()>,
}

impl Publisher {
    /// Publishes nothing more and waits until all of it is acknowledged.
    async fn finish(self) -> u64 {
        self.stop.send(true).unwrap();
        self.feeding.await.unwrap();
        let published = self.progress.published.load(Ordering::SeqCst);
        self.progress.reaches(published).await;
        self.polling.abort();
        published
    }
}

/// MQTT 3.1.1 with a session that outlives the connection.
fn publish_v4(house: &House, number: usize, stream: &'static str, qos: QoS) -> Publisher {
    let device = format!("{stream}-{number}");
    let mut options = MqttOptions::new(&device, house.mqtt.ip().to_string(), house.mqtt.port());
    options.set_credentials(&device, house.token(&["--name", &device, "--scope", "ingest"]));
    options.set_clean_session(false).set_inflight(INFLIGHT).set_keep_alive(Duration::from_secs(30));
    let (client, events) = AsyncClient::new(options, 10);
    let progress = Arc::new(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let inflight = if qos == QoS::ExactlyOnce { 1 } else { u64::from(INFLIGHT) };
    let (counted, topic) = (Arc::clone(&progress), format!("devices/{device}/{stream}"));
    let feeding = tokio::spawn(async move {
        while !*stopped.borrow() {
            let n = counted.published.load(Ordering::SeqCst);
            counted.reaches((n + 1).saturating_sub(inflight)).await;
            client.publish(&topic, qos, false, json!({ "n": n }).to_string()).await.unwrap();
            counted.published.fetch_add(1, Ordering::SeqCst);
        }
        // The event loop ends with its last client; it is still needed for the acknowledgements.
        std::mem::forget(client);
    });
    let polling = tokio::spawn(poll_v4(events, Arc::clone(&progress), qos));
    Publisher { device, stream, progress, stop, feeding, polling }
}

async fn poll_v4(mut events: EventLoop, progress: Arc<Progress>, qos: QoS) {
    let mut known = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connack))) => {
                assert_eq!(connack.session_present, known, "the session did not outlive the hub");
                known = true;
            }
            Ok(Event::Incoming(Packet::PubAck(_))) if qos == QoS::AtLeastOnce => progress.acknowledge(),
            Ok(Event::Incoming(Packet::PubComp(_))) => progress.acknowledge(),
            Ok(_) => {}
            Err(_) => tokio::time::sleep(RECONNECT).await,
        }
    }
}

/// MQTT 5, QoS 1, each message with an id of its own.
fn publish_v5_with_ids(house: &House, stream: &'static str) -> Publisher {
    let device = format!("{stream}-0");
    let mut options = v5::MqttOptions::new(&device, house.mqtt.ip().to_string(), house.mqtt.port());
    options.set_credentials(&device, house.token(&["--name", &device, "--scope", "ingest"]));
    options.set_clean_start(false).set_keep_alive(Duration::from_secs(30));
    options.set_session_expiry_interval(Some(3_600)).set_outgoing_inflight_upper_limit(INFLIGHT);
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    let progress = Arc::new(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let (counted, topic) = (Arc::clone(&progress), format!("devices/{device}/{stream}"));
    let feeding = tokio::spawn(async move {
        while !*stopped.borrow() {
            let n = counted.published.load(Ordering::SeqCst);
            counted.reaches((n + 1).saturating_sub(u64::from(INFLIGHT))).await;
            let properties = v5::mqttbytes::v5::PublishProperties {
                user_properties: vec![("message-id".into(), format!("{stream}-{n}"))],
                ..Default::default()
            };
            let payload = json!({ "n": n }).to_string();
            let qos = v5::mqttbytes::QoS::AtLeastOnce;
            client.publish_with_properties(&topic, qos, false, payload, properties).await.unwrap();
            counted.published.fetch_add(1, Ordering::SeqCst);
        }
        std::mem::forget(client);
    });
    let acknowledged = Arc::clone(&progress);
    let polling = tokio::spawn(async move {
        loop {
            match events.poll().await {
                Ok(v5::Event::Incoming(v5::mqttbytes::v5::Packet::PubAck(_))) => acknowledged.acknowledge(),
                Ok(_) => {}
                Err(_) => tokio::time::sleep(RECONNECT).await,
            }
        }
    });
    Publisher { device, stream, progress, stop, feeding, polling }
}

/// Numbers that look random and are the same every time (SplitMix64).
fn draw(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_and_double_nothing_that_was_acknowledged() {
    let mut house = House::open();
    let mut publishers: Vec<Publisher> = (0..EXACTLY_ONCE)
        .map(|number| publish_v4(&house, number, "exactly_once", QoS::ExactlyOnce))
        .collect();
    publishers.push(publish_v4(&house, 0, "at_least_once", QoS::AtLeastOnce));
    publishers.push(publish_v5_with_ids(&house, "with_ids"));
    for kill in 0..KILLS {
        let publisher = &publishers[kill as usize % publishers.len()];
        let now = publisher.progress.acknowledged.load(Ordering::SeqCst);
        publisher.progress.reaches(now + ACKS_MIN + draw(kill) % ACKS_SPREAD).await;
        house.kill();
        house.start_again();
    }
    for publisher in publishers {
        let (device, stream) = (publisher.device.clone(), publisher.stream);
        let published = publisher.finish().await;
        let query = "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM";
        let rows = house.sql(&format!("{query} {stream} WHERE device = '{device}'"));
        let [all, different, min, max] = rows[0].as_slice() else { panic!("{rows:?}") };
        // Every number once and none that was not published: a loss, a double or a stranger breaks one of these.
        assert_eq!((different, min, max), (&json!(published), &json!(0), &json!(published - 1)), "{device}");
        if stream == "at_least_once" {
            assert!(all.as_u64().unwrap() >= published, "{device}: {all} rows of {published}");
        } else {
            assert_eq!(all, &json!(published), "{device}");
        }
    }
    let held = house.get("/quarantine");
    assert_eq!(held["items"], json!([]), "nothing may be quarantined");
}
