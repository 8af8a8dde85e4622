//! How sessions begin, change hands and end; wills.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use bytestring::ByteString;
use springhouse_policy::Principal;

use crate::door::{Inbound, Outcome};
use crate::event::{Entry, Event, StoredWill};
use crate::message::{Message, after};
use crate::reason;
use crate::session::Session;
use crate::shared::{Shared, encode};
use crate::tenant::Tenant;
use crate::timers::{Due, What};

/// What a client wants of its session.
pub struct Wish {
    pub key: String,
    pub clean_start: bool,
    pub expiry_s: u32,
    pub will: Option<StoredWill>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Farewell {
    /// The client said DISCONNECT with reason code zero.
    pub forgets_will: bool,
    pub session_expiry_s: Option<u32>,
}

/// A will on its way out.
pub struct DueWill {
    pub will: StoredWill,
    pub owner: Option<Arc<Principal>>,
    /// Event that says it is sent, when the session goes on.
    pub event: Option<Entry>,
}

impl Shared {
    /// Attaches a connection to its session: takes it over from another connection, resumes it or begins it. The flag
    /// says whether it was there. `Err` when the tenant has too many sessions.
    pub async fn open_session(
        &self,
        tenant: &Arc<Tenant>,
        who: &Arc<Principal>,
        wish: &Wish,
        events: &mut Vec<Entry>,
    ) -> Result<(Arc<Session>, bool), u8> {
        loop {
            let (session, is_begun) = self.find_or_begin(tenant, who, wish, events)?;
            if is_begun {
                return Ok((session, false));
            }
            let released = session.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            let is_taken = {
                let mut inner = session.lock();
                if inner.has_ended {
                    continue;
                }
                if inner.is_attached {
                    inner.kick.get_or_insert(reason::SESSION_TAKEN_OVER);
                }
                // The timer that ends an expired session may be late.
                let ends_at = inner.state.closed_at.map(|at| after(at, inner.state.expiry_s));
                let has_expired = ends_at.is_some_and(|at| at <= self.clock.now());
                if !inner.is_attached && !wish.clean_start && !has_expired {
                    events.extend(self.attach(tenant, &session, &mut inner, who, wish));
                    return Ok((Arc::clone(&session), true));
                }
                inner.is_attached
            };
            if is_taken {
                session.wake.notify_one();
                released.await;
            } else {
                self.end_session(tenant, &session, events).await;
            }
        }
    }

    /// The session of this key, or one that is begun and attached.
    fn find_or_begin(
        &self,
        tenant: &Arc<Tenant>,
        who: &Arc<Principal>,
        wish: &Wish,
        events: &mut Vec<Entry>,
    ) -> Result<(Arc<Session>, bool), u8> {
        let mut sessions = tenant.sessions.lock();
        if let Some(session) = sessions.get(&*wish.key) {
            return Ok((Arc::clone(session), false));
        }
        if sessions.len() >= self.options.sessions_max {
            self.metrics.refused("too_many_sessions");
            return Err(reason::QUOTA_EXCEEDED);
        }
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let session = Arc::new(Session::new(id, &wish.key));
        events.extend(self.attach(tenant, &session, &mut session.lock(), who, wish));
        sessions.insert(session.key.clone(), Arc::clone(&session));
        self.metrics.sessions.increment(1.0);
        Ok((session, true))
    }

    fn attach(
        &self,
        tenant: &Tenant,
        session: &Session,
        inner: &mut crate::session::Inner,
        who: &Arc<Principal>,
        wish: &Wish,
    ) -> Option<Entry> {
        inner.is_attached = true;
        inner.generation += 1;
        inner.kick = None;
        inner.is_durable |= wish.expiry_s > 0;
        inner.state.rewind();
        inner.state.closed_at = None;
        inner.state.expiry_s = wish.expiry_s;
        inner.state.will.clone_from(&wish.will);
        inner.owner = Some(Arc::clone(who));
        inner.is_durable.then(|| {
            self.journal.entry(Event::Opened {
                session: session.id,
                tenant: tenant.id.to_string(),
                key: session.key.to_string(),
                expiry_s: wish.expiry_s,
                will: wish.will.clone(),
            })
        })
    }

    /// Detaches a connection. A session without expiry ends; any other waits for its client.
    pub async fn close_session(&self, tenant: &Arc<Tenant>, session: &Arc<Session>, farewell: Farewell) {
        let _guard = self.journal.guard();
        let mut events = Vec::new();
        let mut will = None;
        let goes_on = {
            let mut inner = session.lock();
            inner.is_attached = false;
            inner.state.expiry_s = farewell.session_expiry_s.unwrap_or(inner.state.expiry_s);
            if farewell.forgets_will {
                inner.state.will = None;
            }
            let goes_on = inner.state.expiry_s > 0;
            if goes_on {
                (events, will) = self.wait_for_client(tenant, session, &mut inner);
            }
            goes_on
        };
        if !goes_on {
            self.end_session(tenant, session, &mut events).await;
        }
        if let Err(error) = self.write(&events).await {
            tracing::debug!(%error, "session change is not journaled");
        }
        session.released.notify_waiters();
        if let Some(will) = will {
            self.send_will(tenant, session, will).await;
        }
    }

    fn wait_for_client(
        &self,
        tenant: &Arc<Tenant>,
        session: &Arc<Session>,
        inner: &mut crate::session::Inner,
    ) -> (Vec<Entry>, Option<DueWill>) {
        let now = self.clock.now();
        let expiry_s = inner.state.expiry_s;
        inner.drop_volatile();
        inner.state.closed_at = Some(now);
        let is_will_due = inner.state.will.is_some();
        let event = Event::Closed { session: session.id, at: now, expiry_s, is_will_due };
        let events = vec![self.journal.entry(event)];
        let due = |what| Due {
            tenant: Arc::clone(tenant),
            session: Arc::clone(session),
            generation: inner.generation,
            what,
        };
        self.timers.set(after(now, expiry_s), due(What::EndSession));
        let delay_s = inner.state.will.as_ref().map(|will| will.delay_s);
        match delay_s {
            Some(0) => return (events, self.take_will(session, inner)),
            // A will that is due later than the session's end goes out with it.
            Some(delay_s) if delay_s < expiry_s => self.timers.set(after(now, delay_s), due(What::SendWill)),
            _ => {}
        }
        (events, None)
    }

    fn take_will(&self, session: &Session, inner: &mut crate::session::Inner) -> Option<DueWill> {
        let will = inner.state.will.take()?;
        let event = (inner.is_durable && !inner.has_ended)
            .then(|| self.journal.entry(Event::WillSent { session: session.id }));
        Some(DueWill { will, owner: inner.owner.clone(), event })
    }

    /// Ends a session that no connection is attached to, with everything that belongs to it.
    pub async fn end_session(&self, tenant: &Arc<Tenant>, session: &Arc<Session>, events: &mut Vec<Entry>) {
        let (filters, will) = {
            let mut sessions = tenant.sessions.lock();
            let mut inner = session.lock();
            if inner.has_ended || inner.is_attached {
                return;
            }
            inner.has_ended = true;
            sessions.remove(&session.key);
            if inner.is_durable {
                events.push(self.journal.entry(Event::Ended { session: session.id }));
            }
            let will = self.take_will(session, &mut inner);
            let state = std::mem::take(&mut inner.state);
            (state.subscriptions, will)
        };
        self.metrics.sessions.decrement(1.0);
        if !filters.is_empty() {
            tenant.unsubscribe(filters.keys().map(String::as_str), session.id);
        }
        session.released.notify_waiters();
        if let Some(will) = will {
            self.send_will(tenant, session, will).await;
        }
    }

    /// Publishes a will as if its client had.
    pub async fn send_will(&self, tenant: &Arc<Tenant>, session: &Session, due: DueWill) {
        let _guard = self.journal.guard();
        let now = self.clock.now();
        let stored = due.will.message;
        let mut message = Message::new(stored.topic(), stored.properties(), stored.payload(), stored.qos);
        message.retain = stored.retain;
        message.expires = due.will.expiry_s.map(|seconds| after(now, seconds));
        let mut events: Vec<Entry> = due.event.into_iter().collect();
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
                let is_refused = accepted.outcomes.first() == Some(&Outcome::Refused);
                (!is_refused).then_some(accepted.commit)
            }),
            None => self.write(&events).await.map(Some),
        };
        match taken {
            Ok(Some(commit)) => {
                self.journal.committed(commit);
                self.deliver(tenant, prepared, commit);
            }
            Ok(None) | Err(_) => self.give_back(prepared),
        }
    }

    /// Does what is due.
    pub async fn expire(&self, due: Due) {
        let mut events = Vec::new();
        let will = {
            let mut inner = due.session.lock();
            if inner.generation != due.generation || inner.is_attached || inner.has_ended {
                return;
            }
            match due.what {
                What::SendWill => self.take_will(&due.session, &mut inner),
                What::EndSession => None,
            }
        };
        let _guard = self.journal.guard();
        match (due.what, will) {
            (What::SendWill, Some(will)) => self.send_will(&due.tenant, &due.session, will).await,
            (What::SendWill, None) => {}
            (What::EndSession, _) => self.end_session(&due.tenant, &due.session, &mut events).await,
        }
        if let Err(error) = self.write(&events).await {
            tracing::debug!(%error, "end of a session is not journaled");
        }
    }
}
