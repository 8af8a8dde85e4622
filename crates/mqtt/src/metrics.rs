//! Counters of the gateway. Handles are looked up once: a lookup costs more than handling a message.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Why a message that was not acknowledged, or need not be, goes no further.
#[derive(Clone, Copy, Debug)]
pub enum Dropped {
    QueueFull,
    Expired,
    TooLargeForClient,
    RetainedFull,
}

pub struct Metrics {
    pub connections: Gauge,
    pub sessions: Gauge,
    pub queued_bytes: Gauge,
    pub messages_in: [Counter; 3],
    pub messages_out: [Counter; 3],
    pub ack_seconds: Histogram,
    dropped: [Counter; 4],
}

impl Metrics {
    pub fn new() -> Metrics {
        metrics::describe_counter!(
            "springhouse_mqtt_messages_total",
            "PUBLISH packets, by direction and QoS"
        );
        metrics::describe_counter!(
            "springhouse_mqtt_dropped_total",
            "Messages for subscribers that were dropped"
        );
        metrics::describe_counter!(
            "springhouse_mqtt_refused_total",
            "Connections, publishes and subscriptions refused"
        );
        metrics::describe_histogram!(
            "springhouse_mqtt_ack_seconds",
            "From reading a batch to writing its last ack"
        );
        metrics::describe_gauge!("springhouse_mqtt_queued_bytes", "Bytes that wait for subscribers");
        let messages = |direction: &'static str| {
            ["0", "1", "2"].map(
                |qos| counter!("springhouse_mqtt_messages_total", "direction" => direction, "qos" => qos),
            )
        };
        Metrics {
            connections: gauge!("springhouse_mqtt_connections"),
            sessions: gauge!("springhouse_mqtt_sessions"),
            queued_bytes: gauge!("springhouse_mqtt_queued_bytes"),
            messages_in: messages("in"),
            messages_out: messages("out"),
            ack_seconds: histogram!("springhouse_mqtt_ack_seconds"),
            dropped: ["queue_full", "expired", "too_large_for_client", "retained_full"]
                .map(|reason| counter!("springhouse_mqtt_dropped_total", "reason" => reason)),
        }
    }

    pub fn dropped(&self, reason: Dropped) {
        self.dropped[reason as usize].increment(1);
    }

    /// Rare enough to be looked up each time.
    pub fn refused(&self, reason: &'static str) {
        counter!("springhouse_mqtt_refused_total", "reason" => reason).increment(1);
    }
}
