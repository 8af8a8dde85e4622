//! The session journal: what has to survive a restart, as events.
//!
//! ```text
//! record  = entry*                       a record of Kind::Sessions, or several joined
//! entry   = length u32le, number u64le, tag u8, fields
//! fields  = u8 | u16le | u32le | u64le | i64le | text (u32le length, bytes) | list (u32le count, items)
//! ```
//!
//! Every event sets or removes one thing that it names (a session, a filter, a packet identifier, a retained topic), and
//! carries a number that grows in the order in which the gateway did these things. Replaying a stretch of the journal in
//! the order of the numbers onto a state that already contains part of it therefore ends in the same state.

use std::sync::Arc;

use rmqtt_codec::types::QoS;
use springhouse_model::Timestamp;

use crate::message::Message;

pub type SessionId = u64;

/// A journaled event with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub number: u64,
    pub event: Event,
}

/// A will that waits for its client to be lost.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWill {
    pub message: Arc<Message>,
    pub delay_s: u32,
    /// Seconds after which the message expires, counted from its publication.
    pub expiry_s: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A client connected to its session, which begins to exist if it did not.
    Opened {
        session: SessionId,
        tenant: String,
        key: String,
        expiry_s: u32,
        will: Option<StoredWill>,
    },
    /// The connection ended. The session and a will that is still due wait from `at` on.
    Closed {
        session: SessionId,
        at: Timestamp,
        expiry_s: u32,
        is_will_due: bool,
    },
    Ended {
        session: SessionId,
    },
    WillSent {
        session: SessionId,
    },
    Subscribed {
        session: SessionId,
        filter: String,
        options: u8,
        id: u32,
    },
    Unsubscribed {
        session: SessionId,
        filter: String,
    },
    /// An inbound QoS 2 message has been taken; its identifier is held until PUBREL.
    Received {
        session: SessionId,
        packet_id: u16,
    },
    Released {
        session: SessionId,
        packet_id: u16,
    },
    /// A message waits for sessions, under the identifier with which it will be sent.
    Queued {
        message: Arc<Message>,
        targets: Vec<Target>,
    },
    /// The client has it: PUBACK or PUBCOMP.
    Done {
        session: SessionId,
        packet_id: u16,
    },
    /// PUBREC came: only PUBREL may be sent under this identifier.
    Taken {
        session: SessionId,
        packet_id: u16,
    },
    /// The retained message of a topic; an empty payload removes it.
    Retained {
        tenant: String,
        message: Arc<Message>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub session: SessionId,
    pub packet_id: u16,
    pub qos: QoS,
    pub retain: bool,
    pub subscription_ids: Vec<u32>,
}

/// The bytes of a journal or a snapshot are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("session journal is damaged")]
pub struct Damaged;

impl Entry {
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.number.to_le_bytes());
        self.event.encode(out);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// All entries of a record.
    pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Entry>, Damaged> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let mut reader = Reader(bytes);
            let length = reader.u32()? as usize;
            let mut fields = Reader(reader.take(length)?);
            bytes = reader.0;
            let number = fields.u64()?;
            entries.push(Entry { number, event: Event::decode(&mut fields)? });
        }
        Ok(entries)
    }
}

impl Event {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Event::Opened { session, tenant, key, expiry_s, will } => {
                put(out, 1, *session);
                put_text(out, tenant.as_bytes());
                put_text(out, key.as_bytes());
                out.extend_from_slice(&expiry_s.to_le_bytes());
                put_will(out, will.as_ref());
            }
            Event::Closed { session, at, expiry_s, is_will_due } => {
                put(out, 2, *session);
                out.extend_from_slice(&at.micros().to_le_bytes());
                out.extend_from_slice(&expiry_s.to_le_bytes());
                out.push(u8::from(*is_will_due));
            }
            Event::Ended { session } => put(out, 3, *session),
            Event::WillSent { session } => put(out, 4, *session),
            Event::Subscribed { session, filter, options, id } => {
                put(out, 5, *session);
                put_text(out, filter.as_bytes());
                out.push(*options);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Event::Unsubscribed { session, filter } => {
                put(out, 6, *session);
                put_text(out, filter.as_bytes());
            }
            Event::Received { session, packet_id } => put_id(out, 7, *session, *packet_id),
            Event::Released { session, packet_id } => put_id(out, 8, *session, *packet_id),
            Event::Queued { message, targets } => {
                out.push(9);
                put_message(out, message);
                out.extend_from_slice(&(targets.len() as u32).to_le_bytes());
                for target in targets {
                    put_id(
                        out,
                        target.qos.value() | u8::from(target.retain) << 2,
                        target.session,
                        target.packet_id,
                    );
                    put_ids(out, &target.subscription_ids);
                }
            }
            Event::Done { session, packet_id } => put_id(out, 10, *session, *packet_id),
            Event::Taken { session, packet_id } => put_id(out, 11, *session, *packet_id),
            Event::Retained { tenant, message } => {
                out.push(12);
                put_text(out, tenant.as_bytes());
                put_message(out, message);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Event, Damaged> {
        Ok(match reader.u8()? {
            1 => Event::Opened {
                session: reader.u64()?,
                tenant: reader.text()?,
                key: reader.text()?,
                expiry_s: reader.u32()?,
                will: reader.will()?,
            },
            2 => Event::Closed {
                session: reader.u64()?,
                at: reader.time()?,
                expiry_s: reader.u32()?,
                is_will_due: reader.u8()? != 0,
            },
            3 => Event::Ended { session: reader.u64()? },
            4 => Event::WillSent { session: reader.u64()? },
            5 => Event::Subscribed {
                session: reader.u64()?,
                filter: reader.text()?,
                options: reader.u8()?,
                id: reader.u32()?,
            },
            6 => Event::Unsubscribed { session: reader.u64()?, filter: reader.text()? },
            7 => Event::Received { session: reader.u64()?, packet_id: reader.u16()? },
            8 => Event::Released { session: reader.u64()?, packet_id: reader.u16()? },
            9 => Event::Queued {
                message: reader.message()?,
                targets: (0..reader.u32()?).map(|_| reader.target()).collect::<Result<_, _>>()?,
            },
            10 => Event::Done { session: reader.u64()?, packet_id: reader.u16()? },
            11 => Event::Taken { session: reader.u64()?, packet_id: reader.u16()? },
            12 => Event::Retained { tenant: reader.text()?, message: reader.message()? },
            _ => return Err(Damaged),
        })
    }
}

fn put(out: &mut Vec<u8>, tag: u8, session: SessionId) {
    out.push(tag);
    out.extend_from_slice(&session.to_le_bytes());
}

fn put_id(out: &mut Vec<u8>, tag: u8, session: SessionId, packet_id: u16) {
    put(out, tag, session);
    out.extend_from_slice(&packet_id.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_ids(out: &mut Vec<u8>, ids: &[u32]) {
    out.extend_from_slice(&(ids.len() as u32).to_le_bytes());
    ids.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    out.push(message.qos.value() | u8::from(message.retain) << 2);
    out.extend_from_slice(&message.expires.map_or(i64::MAX, Timestamp::micros).to_le_bytes());
    put_text(out, message.topic_bytes());
    put_text(out, message.properties());
    put_text(out, message.payload());
}

fn put_will(out: &mut Vec<u8>, will: Option<&StoredWill>) {
    out.push(u8::from(will.is_some()));
    if let Some(will) = will {
        put_message(out, &will.message);
        out.extend_from_slice(&will.delay_s.to_le_bytes());
        put_ids(out, will.expiry_s.as_slice());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| Damaged)
    }

    fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Damaged> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Damaged> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Damaged> {
        self.array().map(i64::from_le_bytes).map(Timestamp)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, Damaged> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| Damaged)
    }

    fn ids(&mut self) -> Result<Vec<u32>, Damaged> {
        (0..self.u32()?).map(|_| self.u32()).collect()
    }

    fn message(&mut self) -> Result<Arc<Message>, Damaged> {
        let flags = self.u8()?;
        let expires = self.time()?;
        let topic = std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)?;
        let (properties, payload) = (self.bytes()?, self.bytes()?);
        let qos = QoS::try_from(flags & 3).map_err(|_| Damaged)?;
        let mut message = Message::new(topic, properties, payload, qos);
        message.retain = flags & 4 != 0;
        message.expires = (expires.micros() != i64::MAX).then_some(expires);
        Ok(Arc::new(message))
    }

    fn will(&mut self) -> Result<Option<StoredWill>, Damaged> {
        if self.u8()? == 0 {
            return Ok(None);
        }
        let (message, delay_s) = (self.message()?, self.u32()?);
        Ok(Some(StoredWill { message, delay_s, expiry_s: self.ids()?.first().copied() }))
    }

    fn target(&mut self) -> Result<Target, Damaged> {
        let flags = self.u8()?;
        Ok(Target {
            qos: QoS::try_from(flags & 3).map_err(|_| Damaged)?,
            retain: flags & 4 != 0,
            session: self.u64()?,
            packet_id: self.u16()?,
            subscription_ids: self.ids()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_reads_back_as_it_was_written() {
        let mut message = Message::new("a/b", b"\x01\x01", b"21.5", QoS::ExactlyOnce);
        message.retain = true;
        message.expires = Some(Timestamp(7));
        let message = Arc::new(message);
        let will = StoredWill { message: message.clone(), delay_s: 3, expiry_s: Some(9) };
        let target = Target {
            session: 4,
            packet_id: 9,
            qos: QoS::AtLeastOnce,
            retain: true,
            subscription_ids: vec![1, 2],
        };
        let (tenant, key, filter) = (String::from("main"), String::from("device:a"), String::from("a/+"));
        let events = [
            Event::Opened { session: 1, tenant: tenant.clone(), key, expiry_s: 5, will: Some(will) },
            Event::Closed { session: 1, at: Timestamp(-3), expiry_s: 1, is_will_due: true },
            Event::Ended { session: 1 },
            Event::WillSent { session: 1 },
            Event::Subscribed { session: 1, filter: filter.clone(), options: 6, id: 8 },
            Event::Unsubscribed { session: 1, filter },
            Event::Received { session: 1, packet_id: 65535 },
            Event::Released { session: 1, packet_id: 1 },
            Event::Queued { message: message.clone(), targets: vec![target] },
            Event::Done { session: 1, packet_id: 2 },
            Event::Taken { session: 1, packet_id: 3 },
            Event::Retained { tenant, message },
        ];
        let entries: Vec<Entry> = (7..).zip(events).map(|(number, event)| Entry { number, event }).collect();
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| entry.encode(&mut bytes));
        assert_eq!(Entry::decode_all(&bytes).unwrap(), entries);
        for cut in 1..bytes.len() {
            // A torn record gives an error or fewer entries, never a panic or a different event.
            if let Ok(read) = Entry::decode_all(&bytes[..cut]) {
                assert_eq!(read, entries[..read.len()]);
            }
        }
    }
}
