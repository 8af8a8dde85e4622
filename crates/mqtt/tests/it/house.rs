//! A house behind the gateway: a log in memory, and a hand on every valve.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use springhouse_log::{Append, Log, MemoryLog};
use springhouse_model::{Clock, Durable, TenantId, Timestamp};
use springhouse_mqtt::{
    Accepted, Credentials, Door, DoorError, Gateway, Inbound, Options, Origin, Outcome, Refusal, Transport,
};
use springhouse_policy::{Principal, Scope};
use tokio::sync::{Notify, watch};

use crate::client::Client;

/// Time as the tests' runtime has it, so that a paused clock moves everything together.
pub struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000_000 + i64::try_from(self.0.elapsed().as_micros()).unwrap())
    }
}

#[derive(Default)]
struct Pending {
    next: u64,
    /// Taken, not durable.
    messages: Vec<Inbound>,
    events: Vec<Bytes>,
}

/// The door. By default it commits at once.
pub struct House {
    pub log: Arc<MemoryLog>,
    pending: Mutex<Pending>,
    stored: Mutex<Vec<Inbound>>,
    durable: watch::Sender<Durable>,
    is_held: AtomicBool,
    has_room: AtomicBool,
    room: Notify,
    /// Messages that one batch may bring; the door fails at the next.
    takes_max: AtomicUsize,
    /// What clients without a user name may publish and subscribe to.
    topics: Mutex<String>,
    /// Calls of `accept` that have begun.
    pub batches: watch::Sender<usize>,
    clock: Arc<RuntimeClock>,
}

impl House {
    pub fn new() -> Arc<House> {
        House::over(Arc::new(MemoryLog::default()))
    }

    fn over(log: Arc<MemoryLog>) -> Arc<House> {
        Arc::new(House {
            log,
            pending: Mutex::new(Pending { next: 1, ..Pending::default() }),
            stored: Mutex::default(),
            durable: watch::Sender::default(),
            is_held: AtomicBool::new(false),
            has_room: AtomicBool::new(true),
            room: Notify::new(),
            takes_max: AtomicUsize::new(usize::MAX),
            topics: Mutex::new("#".into()),
            batches: watch::Sender::default(),
            clock: Arc::new(RuntimeClock(tokio::time::Instant::now())),
        })
    }

    /// The house after a power cut: what was durable is there, the rest is not.
    pub fn after_crash(&self) -> Arc<House> {
        let house = House::over(Arc::clone(&self.log));
        house.stored.lock().clone_from(&self.stored.lock());
        let clock = Arc::clone(&self.clock);
        Arc::new(House { clock, ..Arc::into_inner(house).unwrap() })
    }

    pub async fn gateway(self: &Arc<Self>, options: Options) -> Hub {
        let door: Arc<dyn Door> = self.clone();
        let log: Arc<dyn Log> = self.log.clone();
        let gateway = Gateway::open_at(door, log, options, self.clock.clone()).await.unwrap();
        Hub { gateway, house: Arc::clone(self) }
    }

    pub fn hold_commits(&self) {
        self.is_held.store(true, Ordering::SeqCst);
    }

    /// Makes everything that was taken durable, and what comes as well.
    pub async fn release_commits(&self) {
        self.is_held.store(false, Ordering::SeqCst);
        self.commit().await;
    }

    pub fn poison(&self) {
        self.durable.send_modify(|durable| durable.poisoned = Some("a test".into()));
    }

    pub fn fill(&self) {
        self.has_room.store(false, Ordering::SeqCst);
    }

    pub fn empty(&self) {
        self.has_room.store(true, Ordering::SeqCst);
        self.room.notify_waiters();
    }

    pub fn take_at_most(&self, messages_max: usize) {
        self.takes_max.store(messages_max, Ordering::SeqCst);
    }

    pub fn allow(&self, topics: &str) {
        *self.topics.lock() = topics.into();
    }

    /// Topics and payloads that are durable.
    pub fn stored(&self) -> Vec<(String, String)> {
        let text = |inbound: &Inbound| {
            (inbound.topic.to_string(), String::from_utf8_lossy(&inbound.payload).into_owned())
        };
        self.stored.lock().iter().map(text).collect()
    }

    pub fn stored_inbound(&self) -> Vec<Inbound> {
        self.stored.lock().clone()
    }

    async fn commit(&self) {
        let (commit, messages, events) = {
            let mut pending = self.pending.lock();
            let taken = (std::mem::take(&mut pending.messages), std::mem::take(&mut pending.events));
            (pending.next - 1, taken.0, taken.1)
        };
        let appends: Vec<Append> = events.into_iter().map(Append::session).collect();
        self.log.append(appends).await.unwrap();
        self.stored.lock().extend(messages);
        self.durable.send_modify(|durable| durable.commit = durable.commit.max(commit));
    }

    async fn wait_for_room(&self) {
        loop {
            let room = self.room.notified();
            if self.has_room.load(Ordering::SeqCst) {
                return;
            }
            room.await;
        }
    }

    async fn take(&self, messages: Vec<Inbound>, events: Vec<Bytes>) -> u64 {
        let commit = {
            let mut pending = self.pending.lock();
            pending.messages.extend(messages);
            pending.events.extend(events);
            pending.next += 1;
            pending.next - 1
        };
        if !self.is_held.load(Ordering::SeqCst) {
            self.commit().await;
        }
        commit
    }
}

#[async_trait]
impl Door for House {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Refusal> {
        let tenant = |name: &str| name.parse::<TenantId>().map_err(|_| Refusal::BadCredentials);
        if let Some(certificate) = credentials.certificate {
            let id =
                format!("certificate-{}", certificate.len()).parse().map_err(|_| Refusal::BadCredentials)?;
            return Ok(Principal::device(TenantId::main(), None, id));
        }
        match credentials.username {
            None => {
                let topics = vec![self.topics.lock().parse().unwrap()];
                Ok(Principal::anonymous(TenantId::main(), credentials.listener, topics))
            }
            Some("wrong") => Err(Refusal::BadCredentials),
            Some("banned") => Err(Refusal::Banned),
            Some(name) => match name.split_once('/') {
                Some(("device", id)) => Ok(Principal::device(TenantId::main(), None, id.parse().unwrap())),
                Some(("tenant", name)) => {
                    let scopes = vec![Scope::Ingest, Scope::Read];
                    Ok(Principal::token(tenant(name)?, None, "t", "token", scopes))
                }
                _ => Err(Refusal::NotAuthorized),
            },
        }
    }

    async fn accept(&self, _: &Principal, messages: Vec<Inbound>) -> Result<Accepted, DoorError> {
        self.batches.send_modify(|count| *count += 1);
        self.wait_for_room().await;
        if self.durable.borrow().poisoned.is_some() {
            return Err(DoorError::Poisoned { reason: "fsync failed".into() });
        }
        let outcome = |message: &Inbound| match &*message.topic {
            topic if topic.starts_with("refused/") => Outcome::Refused,
            topic if topic.starts_with("chat/") => Outcome::NotAStream,
            _ => Outcome::Kept,
        };
        let mut outcomes: Vec<Outcome> = messages.iter().map(outcome).collect();
        outcomes
            .iter_mut()
            .skip(self.takes_max.load(Ordering::SeqCst))
            .for_each(|rest| *rest = Outcome::NotTaken);
        let is_kept = |outcome: &Outcome| !matches!(outcome, Outcome::Refused | Outcome::NotTaken);
        let kept = messages.into_iter().zip(&outcomes).filter(|(_, outcome)| is_kept(outcome));
        let kept: Vec<Inbound> = kept.map(|(message, _)| message).collect();
        let events = kept.iter().filter_map(|message| message.journal.clone()).collect();
        let kept = kept.into_iter().filter(|message| !message.topic.starts_with("chat/")).collect();
        Ok(Accepted { commit: self.take(kept, events).await, outcomes })
    }

    async fn journal(&self, events: Vec<Bytes>) -> Result<u64, DoorError> {
        Ok(self.take(Vec::new(), events).await)
    }

    fn commits(&self) -> watch::Receiver<Durable> {
        self.durable.subscribe()
    }
}

/// A gateway in its house.
pub struct Hub {
    pub gateway: Gateway,
    pub house: Arc<House>,
}

pub fn origin() -> Origin {
    Origin {
        listener: "test".into(),
        peer: SocketAddr::from(([127, 0, 0, 1], 50_000)),
        transport: Transport::Plain,
        certificate: None,
    }
}

impl Hub {
    pub async fn new() -> Hub {
        House::new().gateway(Options::default()).await
    }

    pub async fn with(options: Options) -> Hub {
        House::new().gateway(options).await
    }

    /// A byte stream into the gateway.
    pub fn dial(&self) -> Client {
        let (near, far) = tokio::io::duplex(1024 * 1024);
        let gateway = self.gateway.clone();
        tokio::spawn(async move { gateway.serve(far, origin()).await });
        Client::new(near)
    }

    /// The hub as it is found after a kill: a new process over what was durable.
    pub async fn after_crash(self, options: Options) -> Hub {
        let house = self.house.after_crash();
        drop(self.gateway);
        house.gateway(options).await
    }
}
