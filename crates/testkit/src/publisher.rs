//! Carries the readings of one home to a hub over real MQTT 5, QoS 1, on a connection of its own.
//!
//! A reading counts as delivered when its PUBACK has come. When the connection breaks, what was not acknowledged is
//! sent again after it is back, with the same `message-id`, so that the hub can tell a repetition from a reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Reading;

/// Readings that may be without an answer; a hub that is slow or away slows the simulation down instead of filling
/// memory. The client library never holds more: over a new connection it would send what waits in its queue whatever
/// is in flight, give packet ids a second time and forget the readings that had them.
const INFLIGHT: u16 = 64;
const RETRY_MS_MAX: u64 = 10_000;

#[derive(Clone, Debug)]
pub struct PublisherOptions {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub username: String,
    /// A token with scope `ingest`, or a device's own.
    pub token: String,
}

/// What has happened so far, over all publishers that share it.
#[derive(Debug, Default)]
pub struct Counters {
    pub published: AtomicU64,
    pub acknowledged: AtomicU64,
    pub connects: AtomicU64,
    pub refused: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    #[error("the connection of `{client_id}` is closed")]
    Closed { client_id: String },
}

/// A connected home.
pub struct Publisher {
    client: AsyncClient,
    client_id: String,
    counters: Arc<Counters>,
    own: Arc<Own>,
    pump: JoinHandle<()>,
}

/// Of one connection, to know when everything has arrived.
#[derive(Default)]
struct Own {
    published: AtomicU64,
    answered: watch::Sender<u64>,
}

impl Publisher {
    /// Starts connecting in the background and keeps at it. Must be called inside a tokio runtime.
    pub fn start(options: PublisherOptions, counters: Arc<Counters>) -> Publisher {
        let mut mqtt = MqttOptions::new(options.client_id.clone(), options.host, options.port);
        mqtt.set_credentials(options.username, options.token);
        mqtt.set_keep_alive(Duration::from_secs(30));
        mqtt.set_clean_start(false);
        mqtt.set_session_expiry_interval(Some(600));
        mqtt.set_connection_timeout(5);
        // The client keeps a place for each; without a bound it takes 14 MB a home.
        mqtt.set_outgoing_inflight_upper_limit(INFLIGHT);
        let (client, events) = AsyncClient::new(mqtt, usize::from(INFLIGHT));
        let own = Arc::new(Own::default());
        let pump = tokio::spawn(pump(events, Arc::clone(&counters), Arc::clone(&own)));
        Publisher { client, client_id: options.client_id, counters, own, pump }
    }

    /// Hands a reading to the connection; waits while [`INFLIGHT`] readings are on their way.
    pub async fn publish(&self, reading: &Reading) -> Result<(), PublisherError> {
        self.answered(self.own.published.load(Ordering::Relaxed).saturating_sub(u64::from(INFLIGHT) - 1))
            .await?;
        let properties = PublishProperties {
            user_properties: vec![("message-id".to_owned(), reading.message_id())],
            ..PublishProperties::default()
        };
        let payload = reading.json.clone().into_bytes();
        self.client
            .publish_with_properties(reading.topic(), QoS::AtLeastOnce, false, payload, properties)
            .await
            .map_err(|_| PublisherError::Closed { client_id: self.client_id.clone() })?;
        self.counters.published.fetch_add(1, Ordering::Relaxed);
        self.own.published.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until everything that was published has been answered.
    pub async fn delivered(&self) -> Result<(), PublisherError> {
        self.answered(self.own.published.load(Ordering::Relaxed)).await
    }

    async fn answered(&self, wanted: u64) -> Result<(), PublisherError> {
        let mut answered = self.own.answered.subscribe();
        let enough = answered.wait_for(|answered| *answered >= wanted).await;
        enough.map(|_| ()).map_err(|_| PublisherError::Closed { client_id: self.client_id.clone() })
    }

    /// Says goodbye and ends the connection.
    pub async fn close(self) {
        // The client may be full or the hub away; a goodbye is worth a second, not more.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.disconnect()).await;
        let abort = self.pump.abort_handle();
        if tokio::time::timeout(Duration::from_secs(1), self.pump).await.is_err() {
            abort.abort();
        }
    }
}

/// Drives the connection until it is closed on purpose.
async fn pump(mut events: EventLoop, counters: Arc<Counters>, own: Arc<Own>) {
    let mut rng = StdRng::from_os_rng();
    let mut failures = 0_u32;
    let mut leaving = false;
    let mut interrupted = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connack))) => {
                failures = 0;
                // The hub knows nothing of the session any more: the library forgets what was on its way, and nobody
                // is to wait for it.
                if std::mem::take(&mut interrupted) && !connack.session_present {
                    let published = own.published.load(Ordering::Relaxed);
                    own.answered.send_modify(|answered| *answered = published.max(*answered));
                }
                counters.connects.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                // Reason codes from 0x80 say that the message was refused; it was answered all the same.
                let refused = !matches!(
                    ack.reason,
                    rumqttc::v5::mqttbytes::v5::PubAckReason::Success
                        | rumqttc::v5::mqttbytes::v5::PubAckReason::NoMatchingSubscribers
                );
                let counter = if refused { &counters.refused } else { &counters.acknowledged };
                counter.fetch_add(1, Ordering::Relaxed);
                own.answered.send_modify(|answered| *answered += 1);
            }
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => leaving = true,
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return,
            Err(_) if leaving => return,
            Err(_) => {
                failures += 1;
                interrupted = true;
                tokio::time::sleep(retry_after(failures, &mut rng)).await;
            }
        }
    }
}

/// 100 ms doubled for every failure, at most 10 s, halved at random so that a thousand homes do not come back at once.
fn retry_after(failures: u32, rng: &mut impl Rng) -> Duration {
    let longest = (100_u64 << failures.min(7)).min(RETRY_MS_MAX);
    Duration::from_millis(rng.random_range(longest / 2..=longest))
}
