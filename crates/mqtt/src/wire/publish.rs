//! PUBLISH, the packet that comes by the million (MQTT 5 §3.3).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::types::QoS;

use super::cursor::Cursor;
use super::{Frame, Version};
use crate::reason::{self, Fault};

/// User property by which a publisher names a message, so that its repetition is recognized.
const MESSAGE_ID: &str = "message-id";

/// A PUBLISH as it came. `topic` is empty when only an alias was sent.
#[derive(Clone, Debug)]
pub struct Publish {
    pub topic: ByteString,
    pub payload: Bytes,
    /// Zero at QoS 0.
    pub packet_id: u16,
    pub qos: QoS,
    pub retain: bool,
    pub alias: Option<u16>,
    pub expiry_s: Option<u32>,
    pub message_id: Option<Arc<str>>,
    /// The properties that are forwarded unchanged (§3.3.2.3), encoded: payload format, content type, response topic,
    /// correlation data, user properties in their order.
    pub properties: Bytes,
}

impl Publish {
    pub fn decode(frame: &Frame, version: Version) -> Result<Publish, Fault> {
        let flags = frame.first & 0x0f;
        let qos = QoS::try_from((flags >> 1) & 3).map_err(|_| Fault::malformed("QoS 3"))?;
        let dup = flags & 8 != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(Fault::malformed("DUP set at QoS 0"));
        }
        let mut cursor = Cursor::new(&frame.body);
        let topic = cursor.text()?;
        if topic.as_bytes().iter().any(|byte| matches!(byte, b'+' | b'#')) {
            return Err(Fault::of(reason::TOPIC_INVALID, "wildcard in a topic name"));
        }
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { cursor.packet_id()? };
        let mut publish = Publish {
            topic,
            payload: Bytes::new(),
            packet_id,
            qos,
            retain: flags & 1 != 0,
            alias: None,
            expiry_s: None,
            message_id: None,
            properties: Bytes::new(),
        };
        if version == Version::V5 {
            publish.read_properties(&mut cursor, &frame.body)?;
        }
        if publish.topic.is_empty() && publish.alias.is_none() {
            return Err(Fault::protocol("topic name is empty"));
        }
        publish.payload = cursor.rest();
        Ok(publish)
    }

    fn read_properties(&mut self, cursor: &mut Cursor<'_>, body: &Bytes) -> Result<(), Fault> {
        let mut properties = cursor.properties()?;
        if properties.is_empty() {
            return Ok(());
        }
        let mut forwarded = Forwarded::new(body);
        let mut seen = 0_u64;
        while !properties.is_empty() {
            let start = properties.position();
            let id = properties.u8()?;
            if id != 0x26 && seen & (1 << (id & 63)) != 0 {
                return Err(Fault::protocol("property given twice"));
            }
            seen |= 1 << (id & 63);
            match id {
                0x01 if properties.u8()? > 1 => return Err(Fault::protocol("payload format is not 0 or 1")),
                0x01 => {}
                0x02 => self.expiry_s = Some(properties.u32()?),
                0x03 => drop(properties.text()?),
                0x08 => check_response_topic(&properties.text()?)?,
                0x09 => drop(properties.binary()?),
                0x0b => return Err(Fault::protocol("subscription identifier sent by a client")),
                0x23 => self.alias = Some(properties.u16()?),
                0x26 => {
                    let (name, value) = (properties.text()?, properties.text()?);
                    if name.eq_ignore_ascii_case(MESSAGE_ID) {
                        self.message_id = Some(Arc::from(&*value));
                    }
                }
                _ => return Err(Fault::malformed("property is not one of PUBLISH")),
            }
            if !matches!(id, 0x02 | 0x23) {
                forwarded.add(start, properties.position());
            }
        }
        self.properties = forwarded.bytes();
        match self.alias {
            Some(0) => Err(Fault::of(reason::TOPIC_ALIAS_INVALID, "topic alias is zero")),
            _ => Ok(()),
        }
    }
}

fn check_response_topic(topic: &str) -> Result<(), Fault> {
    match topic.is_empty() || topic.contains(['+', '#']) {
        true => Err(Fault::protocol("response topic is not a topic name")),
        false => Ok(()),
    }
}

/// Collects ranges of a body; as long as they touch each other nothing is copied.
struct Forwarded<'a> {
    body: &'a Bytes,
    range: (usize, usize),
    joined: Option<BytesMut>,
}

impl<'a> Forwarded<'a> {
    fn new(body: &'a Bytes) -> Forwarded<'a> {
        Forwarded { body, range: (0, 0), joined: None }
    }

    fn add(&mut self, start: usize, end: usize) {
        if let Some(joined) = &mut self.joined {
            joined.extend_from_slice(&self.body[start..end]);
        } else if self.range.0 == self.range.1 {
            self.range = (start, end);
        } else if self.range.1 == start {
            self.range.1 = end;
        } else {
            let mut joined = BytesMut::from(&self.body[self.range.0..self.range.1]);
            joined.extend_from_slice(&self.body[start..end]);
            self.joined = Some(joined);
        }
    }

    fn bytes(self) -> Bytes {
        match self.joined {
            Some(joined) => joined.freeze(),
            None => self.body.slice(self.range.0..self.range.1),
        }
    }
}
