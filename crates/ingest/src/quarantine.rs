//! Messages that did not fit, as rows of a stream of their own.
//!
//! They are part of the same commits as the readings beside them, so that an acknowledgement covers them too. The
//! [`inbox`](crate::inbox) carries them over to meta, where people look at them.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use springhouse_meta::{Approval, NewStream, Origin};
use springhouse_model::{Partition, StreamKey, StreamName, TenantId, Timestamp, ValueType};
use springhouse_schema::{Field, Rejection, Schema};

/// The stream of each tenant in which quarantined messages are durable. Devices cannot write to it: its name is none
/// that a topic can spell.
pub const QUARANTINE_STREAM: &str = "_quarantine";

/// Payloads are personal data; the inbox in meta is where they wait for a person, this copy only has to outlive a crash.
const RETENTION_US: i64 = 7 * 86_400_000_000;

pub(crate) const STREAM: &str = "stream";
pub(crate) const TOPIC: &str = "topic";
pub(crate) const REASON: &str = "reason";
pub(crate) const DETAIL: &str = "detail";
pub(crate) const PAYLOAD: &str = "payload";
pub(crate) const PAYLOAD_BASE64: &str = "payload_base64";

/// One message that is held back.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub device: Option<Box<str>>,
    pub site: Option<Box<str>>,
    pub stream: Option<StreamName>,
    pub topic: ByteString,
    pub rejection: Rejection,
    pub payload: Bytes,
    pub received: Timestamp,
    pub id: Option<Arc<str>>,
}

impl Held {
    /// What it takes in the queue.
    pub fn bytes(&self) -> usize {
        size_of::<Held>() + self.topic.len() + self.rejection.detail.len() + self.payload.len()
    }

    fn partition(&self) -> u8 {
        Partition::of(self.device.as_deref().unwrap_or("")).0
    }
}

pub(crate) fn stream_of(tenant: &TenantId) -> NewStream {
    NewStream {
        key: StreamKey::new(tenant.clone(), name()),
        state: Approval::Approved,
        origin: Origin::Declared,
        schema: schema(),
        watermark_delay_us: 0,
        idle_us: None,
        retention_us: Some(RETENTION_US),
        sql: None,
    }
}

pub(crate) fn schema() -> Schema {
    Schema::new(vec![
        Field::new(STREAM, ValueType::Text),
        Field::new(TOPIC, ValueType::Text).required(),
        Field::new(REASON, ValueType::Text).required(),
        Field::new(DETAIL, ValueType::Text),
        Field::new(PAYLOAD, ValueType::Text),
        Field::new(PAYLOAD_BASE64, ValueType::Text),
    ])
}

/// Rows of the quarantine stream, and the partition of each.
pub(crate) fn batch(held: &[Held]) -> Result<(RecordBatch, Vec<u8>), ArrowError> {
    let received = || held.iter().map(|message| message.received.micros());
    let times = |values: TimestampMicrosecondArray| -> ArrayRef { Arc::new(values.with_timezone("UTC")) };
    let text = |of: fn(&Held) -> Option<&str>| -> ArrayRef {
        Arc::new(held.iter().map(of).collect::<StringArray>())
    };
    let utf8 = |message: &Held| std::str::from_utf8(&message.payload).is_ok();
    let base64 = held.iter().map(|message| (!utf8(message)).then(|| STANDARD.encode(&message.payload)));
    let columns = vec![
        times(TimestampMicrosecondArray::from_iter_values(received())),
        text(|message| message.device.as_deref()),
        text(|message| message.site.as_deref()),
        text(|message| message.stream.as_ref().map(StreamName::as_str)),
        text(|message| Some(&message.topic)),
        text(|message| Some(message.rejection.reason.code())),
        text(|message| Some(&message.rejection.detail)),
        text(|message| std::str::from_utf8(&message.payload).ok()),
        Arc::new(base64.collect::<StringArray>()) as ArrayRef,
        times(TimestampMicrosecondArray::from_iter_values(received())),
        text(|message| message.id.as_deref()),
    ];
    let batch = RecordBatch::try_new(schema().arrow(), columns)?;
    Ok((batch, held.iter().map(Held::partition).collect()))
}

/// The payload of a row again.
pub(crate) fn payload(text: Option<&str>, base64: Option<&str>) -> Vec<u8> {
    match (text, base64) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

#[allow(clippy::expect_used, reason = "a constant name, checked by a test")]
pub(crate) fn name() -> StreamName {
    QUARANTINE_STREAM.parse().expect("the name of the quarantine is a stream name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use springhouse_schema::Reason;

    #[test]
    fn a_payload_of_any_bytes_survives_as_a_row() {
        for bytes in [&b"{\"a\":1"[..], &[0xff, 0x00, 0xfe], b""] {
            let held = Held {
                device: None,
                site: None,
                stream: Some("meter".parse().unwrap()),
                topic: "devices/a/meter".into(),
                rejection: Rejection::new(Reason::NotJson, "x"),
                payload: Bytes::copy_from_slice(bytes),
                received: Timestamp(1),
                id: None,
            };
            let (batch, partitions) = batch(&[held]).unwrap();
            assert_eq!((batch.num_rows(), partitions.len()), (1, 1));
            let text = |name: &str| {
                let column = batch.column_by_name(name).unwrap();
                let column = column.as_any().downcast_ref::<StringArray>().unwrap().clone();
                column.iter().next().flatten().map(str::to_owned)
            };
            assert_eq!(payload(text(PAYLOAD).as_deref(), text(PAYLOAD_BASE64).as_deref()), bytes);
        }
    }
}
