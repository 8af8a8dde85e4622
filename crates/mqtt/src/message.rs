//! A message that is passed on, retained or waiting.

use rmqtt_codec::types::QoS;
use springhouse_model::Timestamp;

use crate::wire::Publish;

/// Fixed cost of a message in a queue beyond its bytes, so that empty messages are bounded as well.
pub const MESSAGE_BYTES_MIN: usize = 64;

/// One allocation of its own: a slice of the bytes that were read with it would keep the whole read alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic, forwarded properties, payload.
    bytes: Box<[u8]>,
    topic_length: u32,
    properties_length: u32,
    pub qos: QoS,
    pub retain: bool,
    pub expires: Option<Timestamp>,
}

impl Message {
    pub fn new(topic: &str, properties: &[u8], payload: &[u8], qos: QoS) -> Message {
        let mut bytes = Vec::with_capacity(topic.len() + properties.len() + payload.len());
        bytes.extend_from_slice(topic.as_bytes());
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(payload);
        Message {
            bytes: bytes.into_boxed_slice(),
            topic_length: topic.len() as u32,
            properties_length: properties.len() as u32,
            qos,
            retain: false,
            expires: None,
        }
    }

    pub fn of_publish(publish: &Publish, received: Timestamp) -> Message {
        let mut message = Message::new(&publish.topic, &publish.properties, &publish.payload, publish.qos);
        message.retain = publish.retain;
        message.expires = publish.expiry_s.map(|seconds| after(received, seconds));
        message
    }

    pub fn topic_bytes(&self) -> &[u8] {
        &self.bytes[..self.topic_length as usize]
    }

    pub fn topic(&self) -> &str {
        std::str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    pub fn properties(&self) -> &[u8] {
        &self.bytes[self.topic_length as usize..(self.topic_length + self.properties_length) as usize]
    }

    pub fn payload(&self) -> &[u8] {
        &self.bytes[(self.topic_length + self.properties_length) as usize..]
    }

    /// What it counts for in a queue.
    pub fn weight(&self) -> usize {
        MESSAGE_BYTES_MIN + self.bytes.len()
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

pub fn after(time: Timestamp, seconds: u32) -> Timestamp {
    time.plus_micros(i64::from(seconds) * 1_000_000)
}
