//! CONNECT: decoded by the codec crate, after the rules that it does not check.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::types::QoS;
use rmqtt_codec::{v3, v5};
use springhouse_model::Sensitive;
use tokio_util::codec::Decoder;

use super::{Frame, Version};
use crate::reason::Fault;

const CLEAN_START: u8 = 0b0000_0010;
const WILL: u8 = 0b0000_0100;
const WILL_QOS_AND_RETAIN: u8 = 0b0011_1000;
const PASSWORD: u8 = 0b0100_0000;
const USERNAME: u8 = 0b1000_0000;

/// What a client says first.
#[derive(Debug)]
pub enum Hello {
    Connect(Box<Connect>),
    /// MQTT, but not a version that is spoken here. The answer has the format of `answer`.
    UnsupportedVersion {
        answer: Version,
    },
}

/// A CONNECT of either version.
#[derive(Debug)]
pub struct Connect {
    pub version: Version,
    pub clean_start: bool,
    pub client_id: ByteString,
    pub keep_alive_s: u16,
    pub username: Option<ByteString>,
    pub password: Option<Sensitive<Vec<u8>>>,
    pub will: Option<Will>,
    /// `None` for MQTT 3.1.1, which has no number for it.
    pub session_expiry_s: Option<u32>,
    pub receive_max: u16,
    pub packet_bytes_max: Option<u32>,
    pub topic_alias_max: u16,
    pub wants_response_information: bool,
    pub has_authentication_method: bool,
}

/// The message that is published when the client is lost.
#[derive(Clone, Debug)]
pub struct Will {
    pub topic: ByteString,
    pub payload: Bytes,
    pub qos: QoS,
    pub retain: bool,
    pub delay_s: u32,
    pub expiry_s: Option<u32>,
    /// As [`super::Publish::properties`].
    pub properties: Bytes,
}

pub fn decode_connect(frame: &Frame) -> Result<Hello, Fault> {
    if frame.first != 0x10 {
        return Err(Fault::protocol("first packet is not CONNECT"));
    }
    let body = &frame.body[..];
    let name_length = match body {
        [0, 4, b'M', b'Q', b'T', b'T', ..] => 4,
        [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => 6,
        _ => return Err(Fault::protocol("protocol name is not MQTT")),
    };
    let (Some(level), Some(flags)) = (body.get(2 + name_length), body.get(3 + name_length)) else {
        return Err(Fault::malformed("packet ends too early"));
    };
    let version = match (name_length, level) {
        (4, 4) => Version::V3,
        (4, 5) => Version::V5,
        (4, 6..) => return Ok(Hello::UnsupportedVersion { answer: Version::V5 }),
        _ => return Ok(Hello::UnsupportedVersion { answer: Version::V3 }),
    };
    check_flags(*flags, version)?;
    let mut connect = match version {
        Version::V3 => from_v3(packet(frame, v3::Codec::new(0))?)?,
        Version::V5 => from_v5(packet(frame, v5::Codec::new(0, 0))?)?,
    };
    connect.clean_start = flags & CLEAN_START != 0;
    check_texts(&connect)?;
    Ok(Hello::Connect(Box::new(connect)))
}

fn check_flags(flags: u8, version: Version) -> Result<(), Fault> {
    if flags & 1 != 0 {
        return Err(Fault::malformed("reserved connect flag is set"));
    }
    if flags & WILL == 0 && flags & WILL_QOS_AND_RETAIN != 0 {
        return Err(Fault::malformed("will QoS or will retain without a will"));
    }
    if version == Version::V3 && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        return Err(Fault::malformed("password without user name"));
    }
    Ok(())
}

/// The codec refuses an empty client id without clean start, which MQTT 5 allows and for which MQTT 3.1.1 demands an
/// answer; so it is always shown the flag, and the caller reads the true one.
fn packet<C: Decoder<Item = (P, u32)>, P>(frame: &Frame, mut codec: C) -> Result<P, Fault> {
    let mut bytes = BytesMut::with_capacity(frame.body.len() + 5);
    bytes.extend_from_slice(&[frame.first]);
    super::encode::put_variable_int(&mut bytes, frame.body.len());
    let flags_at = bytes.len() + 7;
    bytes.extend_from_slice(&frame.body);
    bytes[flags_at] |= CLEAN_START;
    match codec.decode(&mut bytes) {
        Ok(Some((packet, _))) => Ok(packet),
        _ => Err(Fault::malformed("CONNECT cannot be decoded")),
    }
}

fn from_v3(packet: v3::Packet) -> Result<Connect, Fault> {
    let v3::Packet::Connect(connect) = packet else { return Err(Fault::malformed("not a CONNECT")) };
    let will = connect.last_will.map(|will| Will {
        topic: will.topic,
        payload: will.message,
        qos: will.qos,
        retain: will.retain,
        delay_s: 0,
        expiry_s: None,
        properties: Bytes::new(),
    });
    Ok(Connect {
        version: Version::V3,
        clean_start: connect.clean_session,
        client_id: connect.client_id,
        keep_alive_s: connect.keep_alive,
        username: connect.username,
        password: connect.password.map(|password| Sensitive::new(password.to_vec())),
        will,
        session_expiry_s: None,
        receive_max: u16::MAX,
        packet_bytes_max: None,
        topic_alias_max: 0,
        wants_response_information: false,
        has_authentication_method: false,
    })
}

fn from_v5(packet: v5::Packet) -> Result<Connect, Fault> {
    let v5::Packet::Connect(connect) = packet else { return Err(Fault::malformed("not a CONNECT")) };
    if connect.auth_data.is_some() && connect.auth_method.is_none() {
        return Err(Fault::protocol("authentication data without a method"));
    }
    Ok(Connect {
        version: Version::V5,
        clean_start: connect.clean_start,
        client_id: connect.client_id,
        keep_alive_s: connect.keep_alive,
        username: connect.username,
        password: connect.password.map(|password| Sensitive::new(password.to_vec())),
        will: connect.last_will.map(will_of_v5).transpose()?,
        session_expiry_s: Some(connect.session_expiry_interval_secs),
        receive_max: connect.receive_max.map_or(u16::MAX, std::num::NonZero::get),
        packet_bytes_max: connect.max_packet_size.map(std::num::NonZero::get),
        topic_alias_max: connect.topic_alias_max,
        wants_response_information: connect.request_response_info,
        has_authentication_method: connect.auth_method.is_some(),
    })
}

fn will_of_v5(will: v5::LastWill) -> Result<Will, Fault> {
    let mut properties = BytesMut::new();
    if let Some(is_utf8) = will.is_utf8_payload {
        properties.extend_from_slice(&[0x01, u8::from(is_utf8)]);
    }
    let optional = [
        (0x03, will.content_type.as_ref().map(|text| &text.as_bytes()[..])),
        (0x08, will.response_topic.as_ref().map(|text| &text.as_bytes()[..])),
        (0x09, will.correlation_data.as_deref()),
    ];
    for (id, value) in optional {
        if let Some(value) = value {
            properties.extend_from_slice(&[id]);
            super::encode::put_binary(&mut properties, value);
        }
    }
    for (name, value) in &will.user_properties {
        properties.extend_from_slice(&[0x26]);
        super::encode::put_binary(&mut properties, name.as_bytes());
        super::encode::put_binary(&mut properties, value.as_bytes());
    }
    if will.response_topic.is_some_and(|topic| topic.is_empty() || topic.contains(['+', '#', '\0'])) {
        return Err(Fault::protocol("response topic is not a topic name"));
    }
    Ok(Will {
        topic: will.topic,
        payload: will.message,
        qos: will.qos,
        retain: will.retain,
        delay_s: will.will_delay_interval_sec.unwrap_or(0),
        expiry_s: will.message_expiry_interval.map(std::num::NonZero::get),
        properties: properties.freeze(),
    })
}

fn check_texts(connect: &Connect) -> Result<(), Fault> {
    let texts =
        [Some(&connect.client_id), connect.username.as_ref(), connect.will.as_ref().map(|will| &will.topic)];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(Fault::malformed("string contains U+0000"));
    }
    match &connect.will {
        Some(will) if springhouse_policy::check_topic(&will.topic).is_err() => {
            Err(Fault::of(crate::reason::TOPIC_INVALID, "will topic is not a topic name"))
        }
        _ => Ok(()),
    }
}
