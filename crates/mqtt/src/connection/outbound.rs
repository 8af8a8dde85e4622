//! From the session's queue to the socket: flow control, packet identifiers, topic aliases (MQTT 5 §4.9, §3.3.2.3.4).

use std::collections::HashMap;

use bytestring::ByteString;
use rmqtt_codec::types::QoS;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use crate::event::Event;
use crate::metrics::Dropped;
use crate::reason;
use crate::state::Outbound;
use crate::wire::{Ack, AckKind, Delivery, Version, put_ack, put_publish};

/// Topic aliases that the gateway has given on one connection: first come, first served.
#[derive(Default)]
pub struct Aliases(HashMap<ByteString, u16>);

impl Aliases {
    /// The alias of a topic and whether the client knows it already.
    fn of(&mut self, topic: &str, count_max: u16) -> Option<(u16, bool)> {
        if let Some(alias) = self.0.get(topic) {
            return Some((*alias, true));
        }
        let next = u16::try_from(self.0.len() + 1).ok()?;
        if next > count_max {
            return None;
        }
        self.0.insert(ByteString::from(topic), next);
        Some((next, false))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Moves messages into the outgoing buffer until it is full, the client's window is, or nothing waits.
    pub(super) fn send_waiting(&mut self, durable: u64) {
        let now = self.shared.clock.now();
        let session = std::sync::Arc::clone(&self.client.session);
        let mut inner = session.lock();
        self.waits_for_commit = false;
        self.waits_for_room = false;
        while let Some(item) = inner.state.waiting.front() {
            if self.link.is_out_full() {
                self.waits_for_room = true;
                break;
            }
            if item.qos != QoS::AtMostOnce
                && inner.state.inflight.len() >= usize::from(self.client.terms.receive_max)
            {
                break;
            }
            if item.after_commit > durable {
                self.waits_for_commit = true;
                break;
            }
            let Some(item) = inner.state.waiting.pop_front() else { break };
            let is_sent = if item.is_taken {
                let ack = Ack { kind: AckKind::Pubrel, packet_id: item.packet_id, reason: reason::SUCCESS };
                put_ack(&mut self.link.out, self.client.terms.version, ack);
                true
            } else if item.message.is_expired(now) && !item.dup {
                self.shared.metrics.dropped(Dropped::Expired);
                false
            } else {
                self.send(&item, now)
            };
            if is_sent && item.qos != QoS::AtMostOnce {
                inner.state.inflight.push_back(item);
                continue;
            }
            inner.forget(&item.message, item.packet_id);
            if item.qos != QoS::AtMostOnce && inner.is_durable {
                let event = Event::Done { session: session.id, packet_id: item.packet_id };
                self.batch.hold(&self.shared.journal);
                self.batch.events.push(self.shared.journal.entry(event));
            }
        }
    }

    /// False when the packet is larger than the client takes: it is then treated as delivered (§3.1.2.11.4).
    fn send(&mut self, item: &Outbound, now: springhouse_model::Timestamp) -> bool {
        let terms = &self.client.terms;
        let alias = match terms.version {
            Version::V5 if terms.topic_alias_max > 0 => {
                self.aliases_out.get_or_insert_default().of(item.message.topic(), terms.topic_alias_max)
            }
            _ => None,
        };
        let delivery = Delivery {
            message: &item.message,
            qos: item.qos,
            retain: item.retain,
            dup: item.dup && item.qos != QoS::AtMostOnce,
            packet_id: item.packet_id,
            alias,
            subscription_ids: &item.subscription_ids,
        };
        let is_sent = put_publish(&mut self.link.out, terms.version, &delivery, now, terms.packet_bytes_max);
        match is_sent {
            true => self.shared.metrics.messages_out[usize::from(item.qos.value())].increment(1),
            false => {
                if let (Some((_, false)), Some(aliases)) = (alias, &mut self.aliases_out) {
                    // The client was never told.
                    aliases.0.remove(item.message.topic());
                }
                self.shared.metrics.dropped(Dropped::TooLargeForClient);
            }
        }
        is_sent
    }
}
