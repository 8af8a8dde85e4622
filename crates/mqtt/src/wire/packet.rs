//! What a connected client can say.

use bytes::Bytes;
use bytestring::ByteString;
use rmqtt_codec::types::QoS;

use super::cursor::Cursor;
use super::{Frame, Publish, Version};
use crate::reason::{self, Fault};

/// A packet of a connected client.
#[derive(Debug)]
pub enum Packet {
    Publish(Publish),
    Ack(Ack),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Ping,
    Disconnect(Disconnect),
}

/// The four acknowledgements of PUBLISH; the numbers are their first bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AckKind {
    Puback = 0x40,
    Pubrec = 0x50,
    Pubrel = 0x62,
    Pubcomp = 0x70,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub kind: AckKind,
    pub packet_id: u16,
    pub reason: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    /// 0 send retained messages, 1 only for a new subscription, 2 never (MQTT 5 §3.8.3.1).
    pub retain_handling: u8,
}

impl SubscriptionOptions {
    pub fn from_byte(byte: u8) -> Option<SubscriptionOptions> {
        let retain_handling = (byte >> 4) & 3;
        let qos = QoS::try_from(byte & 3).ok()?;
        (byte & 0xc0 == 0 && retain_handling < 3).then_some(SubscriptionOptions {
            qos,
            no_local: byte & 4 != 0,
            retain_as_published: byte & 8 != 0,
            retain_handling,
        })
    }

    pub fn to_byte(self) -> u8 {
        self.qos.value()
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | self.retain_handling << 4
    }
}

#[derive(Debug)]
pub struct Subscribe {
    pub packet_id: u16,
    pub subscription_id: Option<u32>,
    pub filters: Vec<(ByteString, SubscriptionOptions)>,
}

#[derive(Debug)]
pub struct Unsubscribe {
    pub packet_id: u16,
    pub filters: Vec<ByteString>,
}

#[derive(Debug, Default)]
pub struct Disconnect {
    pub reason: u8,
    pub session_expiry_s: Option<u32>,
}

/// Decodes a packet that may follow CONNECT.
pub fn decode(frame: &Frame, version: Version) -> Result<Packet, Fault> {
    match frame.first {
        0x30..=0x3f => Publish::decode(frame, version).map(Packet::Publish),
        0x40 => decode_ack(AckKind::Puback, &frame.body, version),
        0x50 => decode_ack(AckKind::Pubrec, &frame.body, version),
        0x62 => decode_ack(AckKind::Pubrel, &frame.body, version),
        0x70 => decode_ack(AckKind::Pubcomp, &frame.body, version),
        0x82 => decode_subscribe(&frame.body, version).map(Packet::Subscribe),
        0xa2 => decode_unsubscribe(&frame.body, version).map(Packet::Unsubscribe),
        0xc0 if frame.body.is_empty() => Ok(Packet::Ping),
        0xe0 => decode_disconnect(&frame.body, version).map(Packet::Disconnect),
        0x10 => Err(Fault::protocol("second CONNECT")),
        0xf0 if version == Version::V5 => Err(Fault::protocol("AUTH without an authentication method")),
        first if matches!(first >> 4, 2 | 9 | 11 | 13) => Err(Fault::protocol("packet is one of a server")),
        _ => Err(Fault::malformed("packet type or its flags do not exist")),
    }
}

fn decode_ack(kind: AckKind, body: &Bytes, version: Version) -> Result<Packet, Fault> {
    let mut cursor = Cursor::new(body);
    let packet_id = cursor.packet_id()?;
    let mut reason = reason::SUCCESS;
    if version == Version::V5 && !cursor.is_empty() {
        reason = cursor.u8()?;
        if !cursor.is_empty() {
            skip_diagnostics(&mut cursor.properties()?)?;
        }
    }
    match cursor.is_empty() {
        true => Ok(Packet::Ack(Ack { kind, packet_id, reason })),
        false => Err(Fault::malformed("bytes after the end of an acknowledgement")),
    }
}

/// Reason string and user properties: allowed, checked, of no use here.
fn skip_diagnostics(properties: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut has_reason = false;
    while !properties.is_empty() {
        match properties.u8()? {
            0x1f if has_reason => return Err(Fault::protocol("property given twice")),
            0x1f => {
                properties.text()?;
                has_reason = true;
            }
            0x26 => {
                properties.text()?;
                properties.text()?;
            }
            _ => return Err(Fault::malformed("property is not one of this packet")),
        }
    }
    Ok(())
}

fn decode_subscribe(body: &Bytes, version: Version) -> Result<Subscribe, Fault> {
    let mut cursor = Cursor::new(body);
    let packet_id = cursor.packet_id()?;
    let mut subscription_id = None;
    if version == Version::V5 {
        let mut properties = cursor.properties()?;
        while !properties.is_empty() {
            match properties.u8()? {
                0x0b if subscription_id.is_some() => return Err(Fault::protocol("property given twice")),
                0x0b => match properties.variable_int()? {
                    0 => return Err(Fault::protocol("subscription identifier is zero")),
                    id => subscription_id = Some(id),
                },
                0x26 => {
                    properties.text()?;
                    properties.text()?;
                }
                _ => return Err(Fault::malformed("property is not one of SUBSCRIBE")),
            }
        }
    }
    let mut filters = Vec::new();
    while !cursor.is_empty() {
        let filter = cursor.text()?;
        let byte = cursor.u8()?;
        let options = match version {
            Version::V3 if byte > 2 => None,
            _ => SubscriptionOptions::from_byte(byte),
        };
        let options = options.ok_or(Fault::malformed("subscription options do not exist"))?;
        if options.no_local && filter.starts_with("$share/") {
            return Err(Fault::protocol("no local on a shared subscription"));
        }
        filters.push((filter, options));
    }
    match filters.is_empty() {
        true => Err(Fault::protocol("SUBSCRIBE without a filter")),
        false => Ok(Subscribe { packet_id, subscription_id, filters }),
    }
}

fn decode_unsubscribe(body: &Bytes, version: Version) -> Result<Unsubscribe, Fault> {
    let mut cursor = Cursor::new(body);
    let packet_id = cursor.packet_id()?;
    if version == Version::V5 {
        let mut properties = cursor.properties()?;
        while !properties.is_empty() {
            match properties.u8()? {
                0x26 => {
                    properties.text()?;
                    properties.text()?;
                }
                _ => return Err(Fault::malformed("property is not one of UNSUBSCRIBE")),
            }
        }
    }
    let mut filters = Vec::new();
    while !cursor.is_empty() {
        filters.push(cursor.text()?);
    }
    match filters.is_empty() {
        true => Err(Fault::protocol("UNSUBSCRIBE without a filter")),
        false => Ok(Unsubscribe { packet_id, filters }),
    }
}

fn decode_disconnect(body: &Bytes, version: Version) -> Result<Disconnect, Fault> {
    let mut disconnect = Disconnect::default();
    if body.is_empty() {
        return Ok(disconnect);
    }
    if version == Version::V3 {
        return Err(Fault::malformed("DISCONNECT with a body"));
    }
    let mut cursor = Cursor::new(body);
    disconnect.reason = cursor.u8()?;
    if cursor.is_empty() {
        return Ok(disconnect);
    }
    let mut properties = cursor.properties()?;
    while !properties.is_empty() {
        match properties.u8()? {
            0x11 if disconnect.session_expiry_s.is_some() => {
                return Err(Fault::protocol("property given twice"));
            }
            0x11 => disconnect.session_expiry_s = Some(properties.u32()?),
            0x1f => drop(properties.text()?),
            0x26 => {
                properties.text()?;
                properties.text()?;
            }
            _ => return Err(Fault::malformed("property is not one of DISCONNECT")),
        }
    }
    match cursor.is_empty() {
        true => Ok(disconnect),
        false => Err(Fault::malformed("bytes after the end of DISCONNECT")),
    }
}
