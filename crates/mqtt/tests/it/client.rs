//! A client that says and hears bytes, so that it can say what no client library would.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A test that waits longer than this for a packet has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    stream: DuplexStream,
    buffer: BytesMut,
}

/// A packet from the gateway: first byte and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub first: u8,
    pub body: Vec<u8>,
}

/// A PUBLISH from the gateway, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub packet_id: u16,
    /// MQTT 5 only.
    pub properties: Vec<u8>,
}

pub fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

pub fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(body);
    out
}

/// CONNECT in the making.
#[derive(Clone)]
pub struct Connect {
    pub level: u8,
    pub flags: u8,
    pub keep_alive: u16,
    pub properties: Vec<u8>,
    pub client_id: String,
    pub after: Vec<u8>,
}

pub fn v5(client_id: &str) -> Connect {
    Connect {
        level: 5,
        flags: 2,
        keep_alive: 0,
        properties: Vec::new(),
        client_id: client_id.into(),
        after: Vec::new(),
    }
}

pub fn v3(client_id: &str) -> Connect {
    Connect { level: 4, ..v5(client_id) }
}

impl Connect {
    /// Goes on with the session that is there.
    pub fn resume(mut self) -> Connect {
        self.flags &= !2;
        self
    }

    pub fn flags(mut self, flags: u8) -> Connect {
        self.flags = flags;
        self
    }

    pub fn keep_alive(mut self, seconds: u16) -> Connect {
        self.keep_alive = seconds;
        self
    }

    pub fn property(mut self, bytes: &[u8]) -> Connect {
        self.properties.extend_from_slice(bytes);
        self
    }

    pub fn expiry(self, seconds: u32) -> Connect {
        let [a, b, c, d] = seconds.to_be_bytes();
        self.property(&[0x11, a, b, c, d])
    }

    pub fn will(mut self, topic: &str, payload: &str, delay_s: u32) -> Connect {
        self.flags |= 0b0000_1100;
        if self.level == 5 {
            let [a, b, c, d] = delay_s.to_be_bytes();
            self.after.extend_from_slice(&[5, 0x18, a, b, c, d]);
        }
        self.after.extend(text(topic));
        self.after.extend(text(payload));
        self
    }

    pub fn user(mut self, name: &str) -> Connect {
        self.flags |= 0x80;
        self.after.extend(text(name));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut body = text("MQTT");
        body.extend_from_slice(&[self.level, self.flags]);
        body.extend_from_slice(&self.keep_alive.to_be_bytes());
        if self.level == 5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend_from_slice(&self.properties);
        }
        body.extend(text(&self.client_id));
        body.extend_from_slice(&self.after);
        packet(0x10, &body)
    }
}

/// A PUBLISH of MQTT 5.
pub fn publish(topic: &str, qos: u8, packet_id: u16, payload: &str) -> Vec<u8> {
    publish_with(topic, qos << 1, packet_id, &[], payload)
}

pub fn publish_with(topic: &str, flags: u8, packet_id: u16, properties: &[u8], payload: &str) -> Vec<u8> {
    let mut body = text(topic);
    if flags & 6 != 0 {
        body.extend_from_slice(&packet_id.to_be_bytes());
    }
    body.push(u8::try_from(properties.len()).unwrap());
    body.extend_from_slice(properties);
    body.extend_from_slice(payload.as_bytes());
    packet(0x30 | flags, &body)
}

/// A PUBLISH of MQTT 3.1.1.
pub fn publish3(topic: &str, qos: u8, packet_id: u16, payload: &str) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend_from_slice(&packet_id.to_be_bytes());
    }
    body.extend_from_slice(payload.as_bytes());
    packet(0x30 | qos << 1, &body)
}

pub fn ack(first: u8, packet_id: u16) -> Vec<u8> {
    packet(first, &packet_id.to_be_bytes())
}

pub const PUBACK: u8 = 0x40;
pub const PUBREC: u8 = 0x50;
pub const PUBREL: u8 = 0x62;
pub const PUBCOMP: u8 = 0x70;

impl Client {
    pub fn new(stream: DuplexStream) -> Client {
        Client { stream, buffer: BytesMut::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next packet, or `None` when the gateway has closed the connection.
    pub async fn hear(&mut self) -> Option<Heard> {
        tokio::time::timeout(PATIENCE, self.read_packet()).await.expect("no packet came")
    }

    async fn read_packet(&mut self) -> Option<Heard> {
        loop {
            let mut length = 0_usize;
            let digits = self.buffer.iter().skip(1).take(4);
            let count = digits.clone().position(|byte| byte & 0x80 == 0);
            if let Some(last) = count {
                for (index, byte) in digits.take(last + 1).enumerate() {
                    length |= usize::from(byte & 0x7f) << (7 * index);
                }
                if self.buffer.len() >= last + 2 + length {
                    let first = self.buffer[0];
                    self.buffer.advance(last + 2);
                    return Some(Heard { first, body: self.buffer.split_to(length).to_vec() });
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Sends CONNECT and gives the CONNACK.
    pub async fn connect(&mut self, connect: &Connect) -> Heard {
        self.send(&connect.bytes()).await;
        let connack = self.hear().await.expect("connection closed without CONNACK");
        assert_eq!(connack.first, 0x20, "{connack:?}");
        connack
    }

    /// Connects and expects to be let in; whether a session was there.
    pub async fn enter(&mut self, connect: &Connect) -> bool {
        let connack = self.connect(connect).await;
        assert_eq!(connack.body[1], 0, "{connack:?}");
        connack.body[0] == 1
    }

    pub async fn expect(&mut self, first: u8, body: &[u8]) {
        assert_eq!(self.hear().await, Some(Heard { first, body: body.to_vec() }));
    }

    pub async fn expect_ack(&mut self, first: u8, packet_id: u16) {
        self.expect(first, &packet_id.to_be_bytes()).await;
    }

    /// Sends SUBSCRIBE (MQTT 5) and gives the reason code.
    pub async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        let mut body = vec![0, 9, 0];
        body.extend(text(filter));
        body.push(options);
        self.send(&packet(0x82, &body)).await;
        loop {
            // Retained messages may come before the answer; those who care subscribe by hand.
            let heard = self.hear().await.expect("connection closed without SUBACK");
            if heard.first == 0x90 {
                return heard.body[3];
            }
        }
    }

    /// Sends SUBSCRIBE (MQTT 3.1.1) and gives the return code.
    pub async fn subscribe3(&mut self, filter: &str, qos: u8) -> u8 {
        let mut body = vec![0, 9];
        body.extend(text(filter));
        body.push(qos);
        self.send(&packet(0x82, &body)).await;
        let heard = self.hear().await.expect("connection closed without SUBACK");
        assert_eq!(heard.first, 0x90);
        heard.body[2]
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    pub async fn deliver(&mut self, topic: &str, payload: &str) {
        self.send(&publish(topic, 1, 77, payload)).await;
        self.expect_ack(PUBACK, 77).await;
    }

    /// The next packet as a PUBLISH of MQTT 5.
    pub async fn message(&mut self) -> Published {
        self.message_of(true).await
    }

    /// The next packet as a PUBLISH of MQTT 3.1.1.
    pub async fn message3(&mut self) -> Published {
        self.message_of(false).await
    }

    async fn message_of(&mut self, has_properties: bool) -> Published {
        let heard = self.hear().await.expect("connection closed instead of PUBLISH");
        assert_eq!(heard.first >> 4, 3, "{heard:?}");
        let qos = (heard.first >> 1) & 3;
        let mut rest = &heard.body[..];
        let topic_length = usize::from(rest.get_u16());
        let topic = String::from_utf8(rest[..topic_length].to_vec()).unwrap();
        rest.advance(topic_length);
        let packet_id = if qos > 0 { rest.get_u16() } else { 0 };
        let mut properties = Vec::new();
        if has_properties {
            let length = usize::from(rest.get_u8());
            assert!(length < 0x80, "tests use short properties");
            properties.extend_from_slice(&rest[..length]);
            rest.advance(length);
        }
        Published {
            topic,
            payload: String::from_utf8(rest.to_vec()).unwrap(),
            qos,
            retain: heard.first & 1 != 0,
            dup: heard.first & 8 != 0,
            packet_id,
            properties,
        }
    }

    /// Everything the gateway had to say has been heard: it answers two pings and nothing else.
    pub async fn hears_nothing(&mut self) {
        for _ in 0..2 {
            self.send(&[0xc0, 0]).await;
            self.expect(0xd0, &[]).await;
        }
    }

    /// The gateway ends the connection; with this reason code when it speaks MQTT 5.
    pub async fn is_sent_away(&mut self, reason: u8) {
        self.expect(0xe0, &[reason]).await;
        assert_eq!(self.hear().await, None);
    }

    pub async fn is_closed(&mut self) {
        assert_eq!(self.hear().await, None);
    }

    /// Says goodbye and waits for the end.
    pub async fn leave(mut self) {
        self.send(&[0xe0, 0]).await;
        self.is_closed().await;
    }
}
