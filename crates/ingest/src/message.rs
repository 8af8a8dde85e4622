//! What comes to the door, and what is said to it.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use springhouse_model::{DeviceId, Timestamp};
use springhouse_schema::Reason;

/// Longest id of a message, in bytes.
pub const MESSAGE_ID_BYTES_MAX: usize = 128;

/// Whether a text can name a message: one that says nothing must not make all others its repetition.
pub fn is_message_id(text: &str) -> bool {
    (1..=MESSAGE_ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// One publish, as a gateway received it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Whom the gateway knows to be speaking, when the protocol says so (HTTP names it in the path). Otherwise the
    /// topic, or the principal itself when the route names no device.
    pub device: Option<DeviceId>,
    pub topic: ByteString,
    pub payload: Bytes,
    pub received: Timestamp,
    /// Repeated deliveries of a device carry the same id. One that [cannot name a message](is_message_id) counts as none.
    pub id: Option<Arc<str>>,
    /// A session-journal event that has to be durable together with the reading, or not at all.
    pub journal: Option<Bytes>,
}

/// What became of a message. All but [`Outcome::Refused`] commit the message's journal event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted {
        rows: u32,
    },
    /// A message with this id is there already, or will be with the same commit.
    Duplicate,
    /// Kept whole, beside the stream.
    Quarantined(Reason),
    /// No route leads from this topic to a stream; nothing is kept.
    NotAStream,
    Refused(Refusal),
}

/// Why a message is turned away without being kept: it is not the sender's to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the sender may not publish to this topic")]
    Topic,
    #[error("the sender may not speak for this device")]
    Device,
    #[error("the device belongs to another site than the sender")]
    Site,
}
