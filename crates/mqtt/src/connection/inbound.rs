//! What a connected client says, packet by packet, into a batch.

use std::sync::Arc;

use bytestring::ByteString;
use rmqtt_codec::types::QoS;
use springhouse_model::Timestamp;
use springhouse_policy::TopicFilter;
use tokio::io::{AsyncRead, AsyncWrite};

use super::batch::{Answer, Promise};
use super::{Connection, End};
use crate::door::Inbound;
use crate::event::{Event, Target};
use crate::lifecycle::Farewell;
use crate::message::Message;
use crate::metrics::Dropped;
use crate::reason::{self, Fault};
use crate::shared::encode;
use crate::state::{Outbound, Subscription};
use crate::topic::{Filter, parse_filter};
use crate::tree::Subscriber;
use crate::wire::{
    Ack, AckKind, Disconnect, Frame, Packet, Publish, Subscribe, SubscriptionOptions, Unsubscribe, Version,
    decode, put_pong,
};

/// Whether the packet that begins with `first` takes effect only after the messages before it have gone through the door.
pub fn waits_for_messages(first: u8) -> bool {
    matches!(first, 0x82 | 0xa2 | 0xe0)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Adds one packet to the batch; gives the end that it asks for.
    pub(super) fn handle(&mut self, frame: &Frame, received: Timestamp) -> Result<Option<End>, Fault> {
        match decode(frame, self.client.terms.version)? {
            Packet::Publish(publish) => self.publish(publish, received)?,
            Packet::Ack(ack) => self.acknowledge(ack),
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe, received),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::Ping => put_pong(&mut self.link.out),
            Packet::Disconnect(disconnect) => return self.disconnect(&disconnect).map(Some),
        }
        Ok(None)
    }

    fn publish(&mut self, mut publish: Publish, received: Timestamp) -> Result<(), Fault> {
        self.counts[usize::from(publish.qos.value())] += 1;
        self.resolve_alias(&mut publish)?;
        if publish.qos != QoS::AtMostOnce {
            self.unacknowledged += 1;
            let is_exceeded = self.unacknowledged > u32::from(self.shared.options.receive_max);
            if is_exceeded && self.client.terms.version == Version::V5 {
                return Err(Fault::of(
                    reason::RECEIVE_MAXIMUM_EXCEEDED,
                    "more messages in flight than agreed",
                ));
            }
        }
        let client = &self.client;
        let route = self.routes.look_up(&client.tenant, &client.who, client.session.id, &publish.topic);
        if !route.is_allowed {
            self.refuse(&publish);
            return Ok(());
        }
        let matches = Arc::clone(&route.matches);
        let mut events = Vec::new();
        if publish.qos == QoS::ExactlyOnce && !self.receive_once(publish.packet_id, &mut events) {
            return Ok(());
        }
        let index = self.batch.messages.len();
        if publish.retain || !matches.is_empty() {
            self.batch.hold(&self.shared.journal);
            let message = Message::of_publish(&publish, received);
            let prepared = self.shared.prepare(&self.client.tenant, message, &matches, &mut events);
            self.batch.prepared.push((index, prepared));
        }
        if let Some(kind) = ack_of(publish.qos) {
            let ack = Ack { kind, packet_id: publish.packet_id, reason: reason::SUCCESS };
            self.batch.promises.push(Promise { answer: Answer::Ack(ack), message: Some(index), commit: 0 });
        }
        self.batch.messages.push(Inbound {
            topic: publish.topic,
            payload: publish.payload,
            received,
            id: publish.message_id,
            journal: (!events.is_empty()).then(|| encode(&events)),
        });
        self.batch.has_message_events |= !events.is_empty();
        Ok(())
    }

    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), Fault> {
        let Some(alias) = publish.alias else { return Ok(()) };
        if alias > self.shared.options.topic_alias_max {
            return Err(Fault::of(reason::TOPIC_ALIAS_INVALID, "topic alias is larger than agreed"));
        }
        if !publish.topic.is_empty() {
            let topic = ByteString::from(&*publish.topic);
            self.aliases_in.get_or_insert_default().insert(alias, topic);
            return Ok(());
        }
        let known = self.aliases_in.as_ref().and_then(|aliases| aliases.get(&alias));
        publish.topic = known.cloned().ok_or(Fault::protocol("topic alias was never set"))?;
        Ok(())
    }

    /// MQTT 3.1.1 has no word for a refusal: the message is acknowledged and dropped (§3.3.5).
    fn refuse(&mut self, publish: &Publish) {
        self.shared.metrics.refused("publish_topic");
        if !std::mem::replace(&mut self.has_been_refused, true) {
            let session = self.client.session.id;
            tracing::info!(
                session,
                "a publish to a topic that is not the client's own is refused; told once a connection"
            );
        }
        tracing::debug!(topic = %publish.topic, "refused");
        if let Some(kind) = ack_of(publish.qos) {
            let ack = Ack { kind, packet_id: publish.packet_id, reason: reason::NOT_AUTHORIZED };
            self.batch.promise(Answer::Ack(ack));
        }
    }

    /// False when the message is held already: only its PUBREC is repeated, after the commit of the first.
    fn receive_once(&mut self, packet_id: u16, events: &mut Vec<crate::event::Entry>) -> bool {
        let session = &self.client.session;
        let mut inner = session.lock();
        if !inner.state.received.insert(packet_id) {
            let ack = Ack { kind: AckKind::Pubrec, packet_id, reason: reason::SUCCESS };
            let commit = inner.last_commit;
            self.batch.promises.push(Promise { answer: Answer::Ack(ack), message: None, commit });
            return false;
        }
        if inner.is_durable {
            self.batch.hold(&self.shared.journal);
            events.push(self.shared.journal.entry(Event::Received { session: session.id, packet_id }));
        }
        true
    }

    fn acknowledge(&mut self, ack: Ack) {
        let Ack { kind, packet_id, reason } = ack;
        let session = Arc::clone(&self.client.session);
        let mut inner = session.lock();
        let event = match kind {
            AckKind::Puback | AckKind::Pubcomp => {
                self.window_moved = true;
                inner.finish(packet_id).then_some(Event::Done { session: session.id, packet_id })
            }
            AckKind::Pubrec if reason >= reason::UNSPECIFIED => {
                self.window_moved = true;
                inner.finish(packet_id).then_some(Event::Done { session: session.id, packet_id })
            }
            AckKind::Pubrec => {
                let is_known = inner.state.take(packet_id);
                self.promise_ack(AckKind::Pubrel, packet_id, is_known);
                is_known.then_some(Event::Taken { session: session.id, packet_id })
            }
            AckKind::Pubrel => {
                let is_known = inner.state.received.remove(&packet_id);
                self.promise_ack(AckKind::Pubcomp, packet_id, is_known);
                is_known.then_some(Event::Released { session: session.id, packet_id })
            }
        };
        if let (Some(event), true) = (event, inner.is_durable) {
            self.batch.hold(&self.shared.journal);
            self.batch.events.push(self.shared.journal.entry(event));
        }
    }

    fn promise_ack(&mut self, kind: AckKind, packet_id: u16, is_known: bool) {
        let reason = if is_known { reason::SUCCESS } else { reason::PACKET_ID_NOT_FOUND };
        self.batch.promise(Answer::Ack(Ack { kind, packet_id, reason }));
    }

    fn subscribe(&mut self, subscribe: &Subscribe, now: Timestamp) {
        let id = subscribe.subscription_id.unwrap_or(0);
        let codes =
            subscribe.filters.iter().map(|(filter, options)| self.subscribe_one(filter, *options, id, now));
        let codes = codes.collect();
        self.batch.promise(Answer::Suback { packet_id: subscribe.packet_id, codes });
    }

    fn subscribe_one(&mut self, text: &str, options: SubscriptionOptions, id: u32, now: Timestamp) -> u8 {
        let filter = match parse_filter(text) {
            Ok(filter) => filter,
            Err(fault) => return fault.code,
        };
        if self.shared.options.refused_filters.iter().any(|refused| refused == text) {
            self.shared.metrics.refused("subscribe_filter");
            return reason::UNSPECIFIED;
        }
        if !self.client.who.may_subscribe(text) {
            self.shared.metrics.refused("subscribe_filter");
            return reason::NOT_AUTHORIZED;
        }
        let session = Arc::clone(&self.client.session);
        let subscription = Subscription { options: options.to_byte(), id };
        let is_new = {
            let mut inner = session.lock();
            let subscriptions = &mut inner.state.subscriptions;
            let is_new = !subscriptions.contains_key(text);
            if is_new && subscriptions.len() >= self.shared.options.subscriptions_max {
                self.shared.metrics.refused("too_many_subscriptions");
                return reason::QUOTA_EXCEEDED;
            }
            subscriptions.insert(text.to_owned(), subscription);
            if inner.is_durable {
                let options = subscription.options;
                let event = Event::Subscribed { session: session.id, filter: text.to_owned(), options, id };
                self.batch.hold(&self.shared.journal);
                self.batch.events.push(self.shared.journal.entry(event));
            }
            is_new
        };
        self.client.tenant.subscribe(filter, Subscriber { session, options, id });
        if filter.group.is_none()
            && (options.retain_handling == 0 || (options.retain_handling == 1 && is_new))
        {
            self.send_retained(filter, options, id, now);
        }
        options.qos.value()
    }

    fn send_retained(&mut self, filter: Filter<'_>, options: SubscriptionOptions, id: u32, now: Timestamp) {
        let Ok(parsed) = filter.filter.parse::<TopicFilter>() else { return };
        let found = self.client.tenant.retained.read().matching(&parsed, now);
        let session = Arc::clone(&self.client.session);
        let mut inner = session.lock();
        // The messages are in memory anyway, so they do not count against the queue's bound, but a client whose queue is
        // full gets no more of them.
        if inner.queued_bytes > self.shared.options.queued_bytes_max {
            found.iter().for_each(|_| self.shared.metrics.dropped(Dropped::QueueFull));
            return;
        }
        self.window_moved |= !found.is_empty();
        for message in found {
            let qos = options.qos.min(message.qos);
            let Ok(packet_id) = inner.admit(&message, qos, usize::MAX) else {
                self.shared.metrics.dropped(Dropped::QueueFull);
                continue;
            };
            let subscription_ids: Vec<u32> = (id != 0).then_some(id).into_iter().collect();
            if qos != QoS::AtMostOnce && inner.is_durable {
                let subscription_ids = subscription_ids.clone();
                let target = Target { session: session.id, packet_id, qos, retain: true, subscription_ids };
                let event = Event::Queued { message: Arc::clone(&message), targets: vec![target] };
                self.batch.hold(&self.shared.journal);
                self.batch.events.push(self.shared.journal.entry(event));
            }
            inner.state.waiting.push_back(Outbound {
                message,
                packet_id,
                qos,
                retain: true,
                subscription_ids: subscription_ids.into(),
                is_taken: false,
                dup: false,
                after_commit: 0,
            });
        }
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let session = Arc::clone(&self.client.session);
        let mut codes = Vec::with_capacity(unsubscribe.filters.len());
        for filter in &unsubscribe.filters {
            let mut inner = session.lock();
            let is_known = inner.state.subscriptions.remove(&**filter).is_some();
            if is_known && inner.is_durable {
                let event = Event::Unsubscribed { session: session.id, filter: filter.to_string() };
                self.batch.hold(&self.shared.journal);
                self.batch.events.push(self.shared.journal.entry(event));
            }
            drop(inner);
            if is_known {
                self.client.tenant.unsubscribe(std::iter::once(&**filter), session.id);
            }
            codes.push(if is_known { reason::SUCCESS } else { reason::NO_SUBSCRIPTION });
        }
        self.batch.promise(Answer::Unsuback { packet_id: unsubscribe.packet_id, codes });
    }

    fn disconnect(&self, disconnect: &Disconnect) -> Result<End, Fault> {
        if disconnect.session_expiry_s.is_some_and(|seconds| seconds > 0)
            && self.client.terms.session_expiry_s == 0
        {
            return Err(Fault::protocol("session expiry set at DISCONNECT after zero at CONNECT"));
        }
        let longest = self.shared.options.session_expiry_max;
        Ok(End::Left(Farewell {
            forgets_will: disconnect.reason == reason::SUCCESS,
            session_expiry_s: disconnect.session_expiry_s.map(|seconds| seconds.min(longest)),
        }))
    }
}

fn ack_of(qos: QoS) -> Option<AckKind> {
    match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => Some(AckKind::Puback),
        QoS::ExactlyOnce => Some(AckKind::Pubrec),
    }
}
