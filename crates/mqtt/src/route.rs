//! From a published message to the queues of its subscribers.
//!
//! Targets are chosen, and room in the queues of durable sessions is taken, *before* the message goes through the door, so
//! that the event which queues it commits together with it. The message enters the queues when the door has taken it.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use bytestring::ByteString;
use rmqtt_codec::types::QoS;
use springhouse_policy::Principal;

use crate::event::{Entry, Event, SessionId, Target};
use crate::message::Message;
use crate::metrics::Dropped;
use crate::session::{NotQueued, Session};
use crate::shared::Shared;
use crate::state::Outbound;
use crate::tenant::Tenant;
use crate::tree::{Match, Matches};

/// Topics of which a connection remembers the route. A device uses a handful.
const TOPICS_KNOWN_MAX: usize = 64;

/// What one connection knows about the topics that it publishes to.
#[derive(Default)]
pub struct Routes {
    version: u64,
    known: HashMap<ByteString, Route, RandomState>,
}

#[derive(Clone)]
pub struct Route {
    pub is_allowed: bool,
    pub matches: Arc<Matches>,
}

impl Routes {
    pub fn look_up(
        &mut self,
        tenant: &Tenant,
        who: &Principal,
        publisher: SessionId,
        topic: &ByteString,
    ) -> &Route {
        let version = tenant.version();
        if version != self.version || self.known.len() >= TOPICS_KNOWN_MAX {
            self.known.clear();
            self.version = version;
        }
        if !self.known.contains_key(topic) {
            let is_allowed = who.may_publish(topic);
            let matches = match is_allowed {
                true => tenant.matching(topic, publisher),
                false => Matches::default(),
            };
            // A copy: the topic is a slice of everything that was read with it.
            let topic = ByteString::from(&**topic);
            self.known.insert(topic, Route { is_allowed, matches: Arc::new(matches) });
        }
        &self.known[topic]
    }
}

/// A message with the places that are taken for it.
pub struct Prepared {
    message: Arc<Message>,
    deliveries: Vec<Delivery>,
}

struct Delivery {
    session: Arc<Session>,
    qos: QoS,
    retain: bool,
    subscription_ids: Box<[u32]>,
    /// Identifier under which a durable session holds room for it.
    admitted: Option<u16>,
}

impl Delivery {
    fn outbound(self, message: &Arc<Message>, commit: u64) -> (Arc<Session>, Outbound) {
        let outbound = Outbound {
            message: Arc::clone(message),
            packet_id: self.admitted.unwrap_or(0),
            qos: self.qos,
            retain: self.retain,
            subscription_ids: self.subscription_ids,
            is_taken: false,
            dup: false,
            // A QoS 2 message that a crash could take back would come twice when its publisher repeats it.
            after_commit: if self.qos == QoS::ExactlyOnce { commit } else { 0 },
        };
        (self.session, outbound)
    }
}

impl Shared {
    /// Takes places for a message and adds the events that belong to it.
    pub fn prepare(
        &self,
        tenant: &Tenant,
        message: Message,
        matches: &Matches,
        events: &mut Vec<Entry>,
    ) -> Prepared {
        let message = Arc::new(message);
        let mut prepared = Prepared { message, deliveries: Vec::with_capacity(matches.sessions.len()) };
        let mut targets = Vec::new();
        for found in &matches.sessions {
            self.take_place(&mut prepared, found, &mut targets);
        }
        for found in matches.groups.iter().filter_map(|group| group.choose()) {
            self.take_place(&mut prepared, &found, &mut targets);
        }
        if !targets.is_empty() {
            events
                .push(self.journal.entry(Event::Queued { message: Arc::clone(&prepared.message), targets }));
        }
        if prepared.message.retain {
            let (tenant, message) = (tenant.id.to_string(), Arc::clone(&prepared.message));
            events.push(self.journal.entry(Event::Retained { tenant, message }));
        }
        prepared
    }

    fn take_place(&self, prepared: &mut Prepared, found: &Match, targets: &mut Vec<Target>) {
        let message = &prepared.message;
        let qos = found.qos.min(message.qos);
        let mut delivery = Delivery {
            session: Arc::clone(&found.session),
            qos,
            retain: message.retain && found.retain_as_published,
            subscription_ids: found.subscription_ids.as_slice().into(),
            admitted: None,
        };
        if qos != QoS::AtMostOnce {
            let mut inner = found.session.lock();
            if inner.is_durable && !inner.has_ended {
                match inner.admit(message, qos, self.options.queued_bytes_max) {
                    Ok(packet_id) => delivery.admitted = Some(packet_id),
                    Err(_) => return self.metrics.dropped(Dropped::QueueFull),
                }
                targets.push(Target {
                    session: found.session.id,
                    packet_id: delivery.admitted.unwrap_or(0),
                    qos,
                    retain: delivery.retain,
                    subscription_ids: found.subscription_ids.clone(),
                });
            }
        }
        prepared.deliveries.push(delivery);
    }

    /// The door has taken the message: it enters the queues and the retained messages.
    pub fn deliver(&self, tenant: &Tenant, prepared: Prepared, commit: u64) {
        for delivery in prepared.deliveries {
            let is_admitted = delivery.admitted.is_some();
            let (session, outbound) = delivery.outbound(&prepared.message, commit);
            if is_admitted {
                let mut inner = session.lock();
                inner.last_commit = inner.last_commit.max(commit);
                session.push_admitted(inner, outbound);
            } else if session.push(outbound, self.options.queued_bytes_max) == Err(NotQueued::Full) {
                self.metrics.dropped(Dropped::QueueFull);
            }
        }
        if prepared.message.retain {
            self.retain(tenant, &prepared.message);
        }
    }

    fn retain(&self, tenant: &Tenant, message: &Arc<Message>) {
        let (count_max, bytes_max) = (self.options.retained_max, self.options.retained_bytes_max);
        if !tenant.retained.write().set(message, count_max, bytes_max) {
            self.metrics.dropped(Dropped::RetainedFull);
        }
    }

    /// The door has refused the message: the places are given back.
    pub fn give_back(&self, prepared: Prepared) {
        for delivery in prepared.deliveries {
            if let Some(packet_id) = delivery.admitted {
                delivery.session.lock().forget(&prepared.message, packet_id);
            }
        }
    }
}
