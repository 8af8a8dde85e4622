//! How sessions begin, change hands and end.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use springhouse_policy::Principal;

use crate::event::{Entry, Event, StoredWill};
use crate::message::after;
use crate::reason;
use crate::session::{Inner, Session, session_key};
use crate::shared::Shared;
use crate::tenant::Tenant;
use crate::timers::{Due, What};
use crate::wills::DueWill;

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

/// What a client finds under its session's key.
enum Found {
    /// Another connection, which has to let go.
    Attached,
    /// A session that has expired, or that the client does not want.
    Unwanted,
    /// Its session, attached, without these filters.
    Resumed { forbidden: Vec<String> },
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
            let found = {
                let mut inner = session.lock();
                if inner.has_ended {
                    continue;
                }
                if inner.is_attached {
                    inner.kick.get_or_insert(reason::SESSION_TAKEN_OVER);
                    Found::Attached
                } else if wish.clean_start || self.has_expired(&inner) {
                    Found::Unwanted
                } else {
                    events.extend(self.attach(tenant, &session, &mut inner, who, wish));
                    Found::Resumed { forbidden: self.drop_forbidden(&session, &mut inner, who, events) }
                }
            };
            match found {
                Found::Attached => {
                    session.wake.notify_one();
                    released.await;
                }
                Found::Unwanted => self.end_session(tenant, &session, events).await,
                Found::Resumed { forbidden } => {
                    if !forbidden.is_empty() {
                        tenant.unsubscribe(forbidden.iter().map(String::as_str), session.id);
                    }
                    return Ok((Arc::clone(&session), true));
                }
            }
        }
    }

    /// The timer that ends an expired session may be late.
    fn has_expired(&self, inner: &Inner) -> bool {
        let ends_at = inner.state.closed_at.map(|at| after(at, inner.state.expiry_s));
        ends_at.is_some_and(|at| at <= self.clock.now())
    }

    /// Forgets the subscriptions that the owner has lost the right to since he made them.
    fn drop_forbidden(
        &self,
        session: &Session,
        inner: &mut Inner,
        who: &Principal,
        events: &mut Vec<Entry>,
    ) -> Vec<String> {
        let filters = inner.state.subscriptions.keys().filter(|filter| !who.may_subscribe(filter));
        let forbidden: Vec<String> = filters.cloned().collect();
        for filter in &forbidden {
            inner.state.subscriptions.remove(filter);
            if inner.is_durable {
                let event = Event::Unsubscribed { session: session.id, filter: filter.clone() };
                events.push(self.journal.entry(event));
            }
        }
        forbidden
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
        if sessions.len() >= self.options.sessions_max || self.has_too_many(&sessions, who) {
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

    /// One device must not use up the sessions of all.
    fn has_too_many(&self, sessions: &BTreeMap<Box<str>, Arc<Session>>, who: &Principal) -> bool {
        if who.own_device().is_none() {
            return false;
        }
        let (prefix, count_max) = (session_key(who, ""), self.options.device_sessions_max);
        let from = (Bound::Included(&*prefix), Bound::Unbounded);
        let own = sessions.range::<str, _>(from).take_while(|(key, _)| key.starts_with(&prefix));
        own.take(count_max).count() >= count_max
    }

    fn attach(
        &self,
        tenant: &Tenant,
        session: &Session,
        inner: &mut Inner,
        who: &Arc<Principal>,
        wish: &Wish,
    ) -> Option<Entry> {
        inner.is_attached = true;
        inner.generation += 1;
        inner.kick = None;
        inner.timers.drain(..).for_each(|key| self.timers.cancel(key));
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
        inner: &mut Inner,
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
        inner.timers.push(self.timers.set(after(now, expiry_s), due(What::EndSession)));
        match inner.state.will.as_ref().map(|will| will.delay_s) {
            Some(0) => return (events, self.take_will(session, inner)),
            // A will that is due later than the session's end goes out with it.
            Some(delay_s) if delay_s < expiry_s => {
                inner.timers.push(self.timers.set(after(now, delay_s), due(What::SendWill)));
            }
            _ => {}
        }
        (events, None)
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
            inner.timers.drain(..).for_each(|key| self.timers.cancel(key));
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

    /// Does what is due.
    pub async fn expire(&self, due: Due) {
        let _guard = self.journal.guard();
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
