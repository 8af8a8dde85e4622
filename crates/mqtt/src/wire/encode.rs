//! Packets that the gateway sends, appended to the one buffer of a connection.

use bytes::{BufMut, BytesMut};
use rmqtt_codec::types::QoS;
use springhouse_model::Timestamp;

use super::{Ack, Version};
use crate::message::Message;

pub fn put_variable_int(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.put_u8(byte);
        }
        out.put_u8(byte | 0x80);
    }
}

pub fn put_binary(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(&bytes[..bytes.len().min(usize::from(u16::MAX))]);
}

fn variable_int_bytes(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

pub fn put_ack(out: &mut BytesMut, version: Version, ack: Ack) {
    let [high, low] = ack.packet_id.to_be_bytes();
    if version == Version::V5 && ack.reason != 0 {
        out.put_slice(&[ack.kind as u8, 3, high, low, ack.reason]);
    } else {
        out.put_slice(&[ack.kind as u8, 2, high, low]);
    }
}

pub fn put_pong(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// MQTT 3.1.1 servers have no DISCONNECT: nothing is written.
pub fn put_disconnect(out: &mut BytesMut, version: Version, reason: u8) {
    if version == Version::V5 {
        out.put_slice(&[0xe0, 1, reason]);
    }
}

pub fn put_suback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    put_codes(out, 0x90, version, packet_id, codes);
}

pub fn put_unsuback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    let codes = if version == Version::V5 { codes } else { &[] };
    put_codes(out, 0xb0, version, packet_id, codes);
}

fn put_codes(out: &mut BytesMut, first: u8, version: Version, packet_id: u16, codes: &[u8]) {
    let properties = usize::from(version == Version::V5);
    out.put_u8(first);
    put_variable_int(out, 2 + properties + codes.len());
    out.put_u16(packet_id);
    out.put_bytes(0, properties);
    match version {
        Version::V5 => out.put_slice(codes),
        Version::V3 => codes.iter().for_each(|code| out.put_u8((*code).min(0x80))),
    }
}

/// The answer to CONNECT. Fields beyond the first two exist in MQTT 5 only.
#[derive(Debug, Default)]
pub struct ConnectAck<'a> {
    pub session_present: bool,
    pub reason: u8,
    pub session_expiry_s: Option<u32>,
    pub receive_max: Option<u16>,
    pub packet_bytes_max: Option<u32>,
    pub topic_alias_max: u16,
    pub keep_alive_s: Option<u16>,
    pub assigned_client_id: Option<&'a str>,
    pub response_information: Option<&'a str>,
}

pub fn put_connack(out: &mut BytesMut, version: Version, ack: &ConnectAck<'_>) {
    if version == Version::V3 {
        out.put_slice(&[0x20, 2, u8::from(ack.session_present), return_code(ack.reason)]);
        return;
    }
    let mut properties = BytesMut::new();
    if let Some(expiry) = ack.session_expiry_s {
        properties.put_u8(0x11);
        properties.put_u32(expiry);
    }
    if let Some(receive_max) = ack.receive_max {
        properties.put_u8(0x21);
        properties.put_u16(receive_max);
    }
    if let Some(bytes_max) = ack.packet_bytes_max {
        properties.put_u8(0x27);
        properties.put_u32(bytes_max);
    }
    if let Some(client_id) = ack.assigned_client_id {
        properties.put_u8(0x12);
        put_binary(&mut properties, client_id.as_bytes());
    }
    if ack.topic_alias_max > 0 {
        properties.put_u8(0x22);
        properties.put_u16(ack.topic_alias_max);
    }
    if let Some(keep_alive) = ack.keep_alive_s {
        properties.put_u8(0x13);
        properties.put_u16(keep_alive);
    }
    if let Some(response) = ack.response_information {
        properties.put_u8(0x1a);
        put_binary(&mut properties, response.as_bytes());
    }
    out.put_u8(0x20);
    put_variable_int(out, 2 + variable_int_bytes(properties.len()) + properties.len());
    out.put_slice(&[u8::from(ack.session_present), ack.reason]);
    put_variable_int(out, properties.len());
    out.put_slice(&properties);
}

/// The return code of MQTT 3.1.1 (§3.2.2.3) that comes nearest to a reason code.
fn return_code(reason: u8) -> u8 {
    match reason {
        0 => 0,
        crate::reason::UNSUPPORTED_VERSION => 1,
        crate::reason::CLIENT_ID_INVALID => 2,
        crate::reason::BAD_CREDENTIALS => 4,
        crate::reason::NOT_AUTHORIZED | crate::reason::BANNED | crate::reason::TOPIC_INVALID => 5,
        _ => 3,
    }
}

/// How one message goes to one client.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    pub message: &'a Message,
    pub qos: QoS,
    pub retain: bool,
    pub dup: bool,
    pub packet_id: u16,
    /// Alias number, and whether the client knows it already so that the topic can be left out.
    pub alias: Option<(u16, bool)>,
    pub subscription_ids: &'a [u32],
}

/// Appends a PUBLISH; false, and nothing, when the client's limit `bytes_max` is smaller than the packet.
pub fn put_publish(
    out: &mut BytesMut,
    version: Version,
    delivery: &Delivery<'_>,
    now: Timestamp,
    bytes_max: Option<u32>,
) -> bool {
    let message = delivery.message;
    let topic = match delivery.alias {
        Some((_, true)) => &[],
        _ => message.topic_bytes(),
    };
    let expiry =
        message.expires.map(|expires| expires.micros().saturating_sub(now.micros()).max(0) / 1_000_000);
    let packet_id_bytes = if delivery.qos == QoS::AtMostOnce { 0 } else { 2 };
    let mut remaining = 2 + topic.len() + packet_id_bytes + message.payload().len();
    let mut properties = 0;
    if version == Version::V5 {
        properties = message.properties().len()
            + if delivery.alias.is_some() { 3 } else { 0 }
            + if expiry.is_some() { 5 } else { 0 }
            + delivery.subscription_ids.iter().map(|id| 1 + variable_int_bytes(*id as usize)).sum::<usize>();
        remaining += variable_int_bytes(properties) + properties;
    }
    if bytes_max.is_some_and(|bytes_max| 1 + variable_int_bytes(remaining) + remaining > bytes_max as usize) {
        return false;
    }
    out.reserve(remaining + 5);
    let flags = u8::from(delivery.dup) << 3 | delivery.qos.value() << 1 | u8::from(delivery.retain);
    out.put_u8(0x30 | flags);
    put_variable_int(out, remaining);
    put_binary(out, topic);
    if packet_id_bytes > 0 {
        out.put_u16(delivery.packet_id);
    }
    if version == Version::V5 {
        put_variable_int(out, properties);
        if let Some((alias, _)) = delivery.alias {
            out.put_u8(0x23);
            out.put_u16(alias);
        }
        if let Some(expiry) = expiry {
            out.put_u8(0x02);
            out.put_u32(u32::try_from(expiry).unwrap_or(u32::MAX));
        }
        for id in delivery.subscription_ids {
            out.put_u8(0x0b);
            put_variable_int(out, *id as usize);
        }
        out.put_slice(message.properties());
    }
    out.put_slice(message.payload());
    true
}
