//! What a session is, and how events change it: no IO, no clock, no locks.
//!
//! The live gateway keeps one [`SessionState`] behind each session's lock and changes it by the same functions that replay
//! uses, so that what a restart reads is what was there.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use rmqtt_codec::types::QoS;
use springhouse_model::Timestamp;

use crate::event::{Entry, Event, SessionId, StoredWill, Target};
use crate::message::Message;

/// One message on its way to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Outbound {
    pub message: Arc<Message>,
    /// Zero at QoS 0.
    pub packet_id: u16,
    pub qos: QoS,
    pub retain: bool,
    pub subscription_ids: Box<[u32]>,
    /// PUBREC came: PUBREL is what is sent again, the message never.
    pub is_taken: bool,
    /// May have been sent before: goes out with DUP.
    pub dup: bool,
    /// Commit that has to be durable before it is sent; zero when none.
    pub after_commit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Options byte of SUBSCRIBE.
    pub options: u8,
    /// Zero when the client gave none.
    pub id: u32,
}

/// The state of one session in the words of MQTT 5 §4.1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionState {
    pub subscriptions: BTreeMap<String, Subscription>,
    /// Inbound QoS 2 identifiers between PUBLISH and PUBREL.
    pub received: HashSet<u16>,
    /// Sent and not acknowledged, in the order of sending.
    pub inflight: VecDeque<Outbound>,
    /// Not yet sent on the present connection.
    pub waiting: VecDeque<Outbound>,
    pub expiry_s: u32,
    pub will: Option<StoredWill>,
    /// `None` while connected.
    pub closed_at: Option<Timestamp>,
}

impl SessionState {
    /// Removes an acknowledged message and gives its weight; `None` when the identifier is not in use.
    pub fn finish(&mut self, packet_id: u16) -> Option<Outbound> {
        let of = |item: &Outbound| item.packet_id == packet_id && item.qos != QoS::AtMostOnce;
        if let Some(index) = self.inflight.iter().position(of) {
            return self.inflight.remove(index);
        }
        let index = self.waiting.iter().position(of)?;
        self.waiting.remove(index)
    }

    /// Notes PUBREC. False when the identifier is not that of a QoS 2 message.
    pub fn take(&mut self, packet_id: u16) -> bool {
        let of = |item: &&mut Outbound| item.packet_id == packet_id && item.qos == QoS::ExactlyOnce;
        let mut items = self.inflight.iter_mut().chain(self.waiting.iter_mut());
        items.find(of).map(|item| item.is_taken = true).is_some()
    }

    /// Everything sent and not acknowledged goes out again, before what was never sent (§4.4).
    pub fn rewind(&mut self) {
        while let Some(mut item) = self.inflight.pop_back() {
            item.dup = true;
            self.waiting.push_front(item);
        }
    }

    fn queue(&mut self, message: &Arc<Message>, target: Target) {
        self.finish(target.packet_id);
        self.waiting.push_back(Outbound {
            message: Arc::clone(message),
            packet_id: target.packet_id,
            qos: target.qos,
            retain: target.retain,
            subscription_ids: target.subscription_ids.into(),
            is_taken: false,
            dup: true,
            after_commit: 0,
        });
    }
}

/// All that the journal describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub sessions: BTreeMap<SessionId, StoredSession>,
    /// Retained messages by (tenant, topic).
    pub retained: HashMap<(String, String), Arc<Message>>,
    /// One past the highest event number seen.
    pub next_number: u64,
    /// One past the highest session id seen.
    pub next_session: SessionId,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredSession {
    pub tenant: String,
    pub key: String,
    pub state: SessionState,
}

impl State {
    /// Applies entries in the order of their numbers, whatever order they come in.
    pub fn replay(&mut self, mut entries: Vec<Entry>) {
        entries.sort_by_key(|entry| entry.number);
        for entry in entries {
            self.next_number = self.next_number.max(entry.number + 1);
            self.apply(entry.event);
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Opened { session, tenant, key, expiry_s, will } => {
                self.next_session = self.next_session.max(session + 1);
                let stored = self.sessions.entry(session).or_default();
                stored.tenant = tenant;
                stored.key = key;
                stored.state.expiry_s = expiry_s;
                stored.state.will = will;
                stored.state.closed_at = None;
            }
            Event::Ended { session } => {
                self.next_session = self.next_session.max(session + 1);
                self.sessions.remove(&session);
            }
            Event::Queued { message, targets } => {
                for target in targets {
                    if let Some(stored) = self.sessions.get_mut(&target.session) {
                        stored.state.queue(&message, target);
                    }
                }
            }
            Event::Retained { tenant, message } => {
                let key = (tenant, message.topic().to_owned());
                match message.payload().is_empty() {
                    true => self.retained.remove(&key),
                    false => self.retained.insert(key, message),
                };
            }
            Event::Closed { session, .. }
            | Event::WillSent { session }
            | Event::Subscribed { session, .. }
            | Event::Unsubscribed { session, .. }
            | Event::Received { session, .. }
            | Event::Released { session, .. }
            | Event::Done { session, .. }
            | Event::Taken { session, .. } => {
                if let Some(stored) = self.sessions.get_mut(&session) {
                    stored.state.apply(event);
                }
            }
        }
    }
}

impl SessionState {
    /// Applies an event of this session; those that concern more than one session are none of its business.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Closed { at, expiry_s, is_will_due, .. } => {
                self.closed_at = Some(at);
                self.expiry_s = expiry_s;
                if !is_will_due {
                    self.will = None;
                }
            }
            Event::WillSent { .. } => self.will = None,
            Event::Subscribed { filter, options, id, .. } => {
                self.subscriptions.insert(filter, Subscription { options, id });
            }
            Event::Unsubscribed { filter, .. } => {
                self.subscriptions.remove(&filter);
            }
            Event::Received { packet_id, .. } => {
                self.received.insert(packet_id);
            }
            Event::Released { packet_id, .. } => {
                self.received.remove(&packet_id);
            }
            Event::Done { packet_id, .. } => {
                self.finish(packet_id);
            }
            Event::Taken { packet_id, .. } => {
                self.take(packet_id);
            }
            Event::Opened { .. } | Event::Ended { .. } | Event::Queued { .. } | Event::Retained { .. } => {}
        }
    }
}
