//! Wills: taken from a session when its client is lost, and published as if the client had (MQTT 5 §3.1.2.5).

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use springhouse_policy::Principal;

use crate::door::{Inbound, Outcome};
use crate::event::{Entry, Event, StoredWill};
use crate::message::{Message, after};
use crate::session::{Inner, Session};
use crate::shared::{Shared, encode};
use crate::tenant::Tenant;

/// A will on its way out.
pub struct DueWill {
    pub will: StoredWill,
    pub owner: Option<Arc<Principal>>,
    /// Event that says it is sent, when the session goes on.
    pub event: Option<Entry>,
}

impl Shared {
    pub fn take_will(&self, session: &Session, inner: &mut Inner) -> Option<DueWill> {
        let will = inner.state.will.take()?;
        let event = (inner.is_durable && !inner.has_ended)
            .then(|| self.journal.entry(Event::WillSent { session: session.id }));
        Some(DueWill { will, owner: inner.owner.clone(), event })
    }

    /// Publishes a will as if its client had.
    pub async fn send_will(&self, tenant: &Arc<Tenant>, session: &Session, due: DueWill) {
        let _guard = self.journal.guard();
        let now = self.clock.now();
        let stored = due.will.message;
        let mut message = Message::new(stored.topic(), stored.properties(), stored.payload(), stored.qos);
        message.retain = stored.retain;
        message.expires = due.will.expiry_s.map(|seconds| after(now, seconds));
        let sent = due.event;
        let mut events: Vec<Entry> = sent.iter().cloned().collect();
        let matches = tenant.matching(message.topic(), session.id);
        let prepared = self.prepare(tenant, message, &matches, &mut events);
        let inbound = Inbound {
            topic: ByteString::from(stored.topic()),
            payload: Bytes::copy_from_slice(stored.payload()),
            received: now,
            id: None,
            journal: (!events.is_empty()).then(|| encode(&events)),
        };
        // After a restart nobody stands for the will: it reaches subscribers, but it is no reading.
        let taken = match &due.owner {
            Some(who) => self.door.accept(who, vec![inbound]).await.map(|accepted| {
                let outcome = accepted.outcomes.first().copied().unwrap_or(Outcome::NotTaken);
                (outcome, accepted.commit)
            }),
            None => self.write(&events).await.map(|commit| (Outcome::NotAStream, commit)),
        };
        match taken {
            Ok((Outcome::Refused, _)) => {
                self.give_back(prepared);
                // Not to be sent after a restart either, when nobody could refuse it.
                if let Err(error) = self.write(sent.as_slice()).await {
                    tracing::debug!(%error, "the end of a will is not journaled");
                }
            }
            Ok((Outcome::NotTaken, _)) | Err(_) => self.give_back(prepared),
            Ok((_, commit)) => {
                self.journal.committed(commit);
                self.deliver(tenant, prepared, commit);
            }
        }
    }
}
