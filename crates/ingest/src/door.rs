//! The door itself: one message after the other, in order, under the lock of one shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use springhouse_log::Log;
use springhouse_meta::{Approval, Meta};
use springhouse_model::{Clock, CommitId, Durable, SiteId};
use springhouse_policy::{Principal, Subject};
use springhouse_schema::{Origin, Reason, Rejection, Schema};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::dedup::{Memory, Window, second_of};
use crate::message::{Message, Outcome, Refusal, is_message_id};
use crate::numbers::{Numbers, Stats, Tally};
use crate::quarantine::Held;
use crate::registry::{Device, Registry, Stream};
use crate::resolve::{Learn, Place, Resolved};
use crate::shard::{Event, Queue, Shard, State};
use crate::{IngestError, Options, Route};

/// The only way in. Cheap to clone; all clones are one door.
#[derive(Clone)]
pub struct Ingest {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub options: Options,
    pub standard: Route,
    pub registry: Registry,
    pub meta: Arc<dyn Meta>,
    pub log: Arc<dyn Log>,
    pub clock: Arc<dyn Clock>,
    pub shards: Vec<Shard>,
    pub hasher: ahash::RandomState,
    /// Journal events that come without a message.
    pub journal: Mutex<Queue>,
    pub journal_room: Notify,
    /// The commit that takes what is pushed at this moment. Changed only under the locks of all shards.
    pub epoch: AtomicU64,
    pub sequence: AtomicU64,
    pub wake: Notify,
    pub durable: watch::Sender<Durable>,
    /// Why the log has failed for good; apart from `durable`, which moves with every commit.
    pub failure: watch::Sender<Option<Arc<str>>>,
    /// Why nothing is taken at present.
    pub stop: Mutex<Option<Stop>>,
    pub stopped: AtomicBool,
    pub closing: watch::Sender<bool>,
    pub memory: Memory,
    pub numbers: Numbers,
    pub tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Stop {
    Full(Arc<str>),
    Poisoned(Arc<str>),
    Closed,
}

/// Who is at the door, as one call of `accept` sees it.
pub(crate) struct Visit<'a> {
    pub who: &'a Principal,
    pub quarantine: Arc<Stream>,
    /// A message that comes out of quarantine does not go back into it, and its sender was judged the first time.
    pub replay: bool,
}

pub(crate) enum Step {
    Done(Outcome),
    /// Something has to be registered before this message can be decoded.
    Learn(Learn),
}

impl Ingest {
    /// Takes a batch in order and says what became of each message, in `outcomes`. Waits while the shard is full. What was
    /// taken is durable when [`commits`](Ingest::commits) has reached the returned id, and may be acknowledged then and not
    /// before. On an error `outcomes` tells which messages were taken: they stay taken and will be durable, so that only
    /// the rest may be offered again; nothing of the batch may be acknowledged yet.
    pub async fn accept(
        &self,
        who: &Principal,
        messages: &[Message],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<CommitId, IngestError> {
        self.accept_as(who, messages, outcomes, false).await
    }

    pub(crate) async fn accept_as(
        &self,
        who: &Principal,
        messages: &[Message],
        outcomes: &mut Vec<Outcome>,
        replay: bool,
    ) -> Result<CommitId, IngestError> {
        let shared = &self.shared;
        shared.registry.ensure_tenant(&who.tenant).await?;
        let Some(quarantine) = shared.registry.quarantine(&who.tenant) else {
            return Err(IngestError::Closed);
        };
        let visit = Visit { who, quarantine, replay };
        let shard = shared.shard_of(who);
        let mut next = 0;
        loop {
            shared.wait_for_room(shard).await?;
            match shared.take(shard, &visit, messages, &mut next, outcomes) {
                Taken::All(commit) => return Ok(commit),
                Taken::Full => {}
                Taken::Learn(learn) => {
                    let payload = messages.get(next).map_or(&[][..], |message| &message.payload);
                    shared.learn(&visit, learn, payload).await?;
                }
            }
        }
    }

    /// Writes session-journal events in their order; all are durable with the returned commit. Each stands alone: a
    /// crash may keep the first ones and not the last.
    pub async fn journal(&self, events: Vec<Bytes>) -> Result<CommitId, IngestError> {
        let shared = &self.shared;
        loop {
            let room = shared.journal_room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            shared.check_open()?;
            {
                let mut queue = shared.journal.lock();
                if queue.bytes < shared.options.shard_bytes {
                    for payload in events {
                        shared.push_event(&mut queue, payload);
                    }
                    let commit = shared.epoch.load(Ordering::Acquire);
                    drop(queue);
                    shared.wake.notify_one();
                    return Ok(commit);
                }
            }
            shared.wake.notify_one();
            room.await;
        }
    }

    /// How far commits are durable; moves after each.
    pub fn commits(&self) -> watch::Receiver<Durable> {
        self.shared.durable.subscribe()
    }

    /// Waits until a commit is durable.
    pub async fn durable(&self, commit: CommitId) -> Result<(), IngestError> {
        let mut commits = self.commits();
        let reached =
            commits.wait_for(|durable| durable.commit >= commit || durable.poisoned.is_some()).await;
        let state = reached.map_err(|_| IngestError::Closed)?.clone();
        match state.poisoned {
            Some(reason) if state.commit < commit => Err(IngestError::Poisoned { reason }),
            _ => Ok(()),
        }
    }

    /// Returns when the log has failed for good, with the reason.
    pub async fn failed(&self) -> Arc<str> {
        let mut failure = self.shared.failure.subscribe();
        match failure.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            _ => "it is closed".into(),
        }
    }

    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub fn stats(&self) -> Stats {
        self.shared.numbers.stats()
    }
}

enum Taken {
    All(CommitId),
    Full,
    Learn(Learn),
}

impl Shared {
    /// Always the same for one sender, so that its messages keep their order.
    fn shard_of(&self, who: &Principal) -> &Shard {
        let hash = match &who.subject {
            Subject::Device(id) => self.hasher.hash_one((0_u8, id.as_str())),
            other => self.hasher.hash_one(other),
        };
        &self.shards[(hash % self.shards.len() as u64) as usize]
    }

    pub fn check_open(&self) -> Result<(), IngestError> {
        if !self.stopped.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.stop.lock().clone() {
            None => Ok(()),
            Some(Stop::Full(reason)) => Err(IngestError::Full { reason }),
            Some(Stop::Poisoned(reason)) => Err(IngestError::Poisoned { reason }),
            Some(Stop::Closed) => Err(IngestError::Closed),
        }
    }

    /// Stops or opens the door, and tells everyone who waits in front of it.
    pub fn set_stop(&self, stop: Option<Stop>) {
        if stop.is_none() && !self.stopped.load(Ordering::Acquire) {
            return;
        }
        let mut current = self.stop.lock();
        // What has failed for good or is closed stays so.
        if matches!(*current, Some(Stop::Poisoned(_) | Stop::Closed)) && !matches!(stop, Some(Stop::Closed)) {
            return;
        }
        self.stopped.store(stop.is_some(), Ordering::Release);
        *current = stop;
        drop(current);
        self.shards.iter().for_each(|shard| shard.room.notify_waiters());
        self.journal_room.notify_waiters();
    }

    async fn wait_for_room(&self, shard: &Shard) -> Result<(), IngestError> {
        loop {
            let room = shard.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            self.check_open()?;
            if !shard.state.lock().is_full(self.options.shard_bytes) {
                return Ok(());
            }
            self.wake.notify_one();
            room.await;
        }
    }

    pub fn push_event(&self, queue: &mut Queue, payload: Bytes) {
        queue.bytes += payload.len() + size_of::<Event>();
        queue.journal.push(Event { sequence: self.sequence.fetch_add(1, Ordering::Relaxed), payload });
    }

    /// Takes messages from `next` on until the end, the bound, or something unknown.
    fn take(
        &self,
        shard: &Shard,
        visit: &Visit<'_>,
        messages: &[Message],
        next: &mut usize,
        outcomes: &mut Vec<Outcome>,
    ) -> Taken {
        let mut tally = Tally::default();
        let mut state = shard.state.lock();
        state.follow(self.registry.generation());
        let mut taken = None;
        let mut waits = false;
        while let Some(message) = messages.get(*next) {
            if state.is_full(self.options.shard_bytes) {
                taken = Some(Taken::Full);
                break;
            }
            match self.take_one(&mut state, visit, message) {
                Step::Done(outcome) => {
                    let keeps_event = !matches!(outcome, Outcome::Refused(_));
                    if let (Some(event), true) = (&message.journal, keeps_event) {
                        self.push_event(&mut state.queue, event.clone());
                    }
                    waits |= message.journal.is_some()
                        || !matches!(outcome, Outcome::NotAStream | Outcome::Refused(_));
                    tally.count(outcome, message.payload.len());
                    outcomes.push(outcome);
                    *next += 1;
                }
                Step::Learn(learn) => {
                    taken = Some(Taken::Learn(learn));
                    break;
                }
            }
        }
        let commit = self.epoch.load(Ordering::Acquire);
        drop(state);
        self.numbers.add(&tally);
        // Also when an earlier part of the batch has left something: its commit may have been cut already, and then only
        // a further one makes the returned id come true.
        let left_something = waits || outcomes.len() as u64 > tally.all();
        if left_something {
            self.wake.notify_one();
        }
        match taken {
            Some(taken) => taken,
            None if left_something => Taken::All(commit),
            None => Taken::All(self.durable.borrow().commit),
        }
    }

    fn take_one(&self, state: &mut State, visit: &Visit<'_>, message: &Message) -> Step {
        let who = visit.who;
        if message.payload.is_empty() {
            // How a retained message is cleared (MQTT 5 §3.3.1.3); there is nothing in it to keep.
            return Step::Done(Outcome::NotAStream);
        }
        let resolved;
        let target = match state.target(&who.tenant, &message.topic) {
            Some(target) => {
                if !visit.replay && !who.may_publish(&message.topic) {
                    return Step::Done(Outcome::Refused(Refusal::Topic));
                }
                target
            }
            None => match self.resolve(visit, message) {
                Resolved::Target { target, by_topic } => {
                    if by_topic {
                        state.remember(&who.tenant, &message.topic, target.clone());
                    }
                    resolved = target;
                    &resolved
                }
                Resolved::Outcome(outcome) => return Step::Done(outcome),
                Resolved::Learn(learn) => return Step::Learn(learn),
                Resolved::Held(place, rejection) => {
                    return self.hold(&mut state.queue, visit, message, place, rejection);
                }
            },
        };
        if let Some(refusal) = refusal(visit, message, &target.device) {
            return Step::Done(Outcome::Refused(refusal));
        }
        let (stream, device) = (Arc::clone(&target.stream), Arc::clone(&target.device));
        self.take_readings(state, visit, message, &stream, &device)
    }

    fn take_readings(
        &self,
        state: &mut State,
        visit: &Visit<'_>,
        message: &Message,
        stream: &Arc<Stream>,
        device: &Device,
    ) -> Step {
        if device.state() == Approval::Refused {
            let rejection = Rejection::new(Reason::DeviceRefused, format!("`{}`", device.id));
            return self.hold(&mut state.queue, visit, message, Place::of(stream, device), rejection);
        }
        // Locked from the question to the answer, so that of two deliveries at once only one gets in.
        let id = message.id.as_deref().filter(|id| is_message_id(id));
        let mut window = id.map(|id| (self.memory.hash(id), device.window.lock()));
        let second = second_of(self.clock_second(message));
        if window.as_ref().is_some_and(|(hash, window)| window.has(&self.memory, *hash, second)) {
            return Step::Done(Outcome::Duplicate);
        }
        let State { slots, queue, .. } = state;
        let slot = State::slot(slots, queue, stream, &self.options.limits);
        let (rows_before, bytes_before) = (slot.decoder.rows(), slot.decoder.bytes());
        let decoded = match slot.closed {
            Some(reason) => Err(Rejection::new(reason, format!("`{}`", stream.key.name))),
            None => device.with_site(|own| {
                let origin = Origin {
                    device: Some(device.id.as_str()),
                    site: own.or(visit.who.site.as_ref()).map(SiteId::as_str),
                    received: Some(message.received),
                    id,
                    partition: device.partition.0,
                };
                slot.decoder.decode(&origin, &message.payload)
            }),
        };
        match decoded {
            Ok(rows) => {
                queue.bytes += slot.decoder.bytes() - bytes_before;
                remember(&self.memory, &mut window, second);
                drop(window);
                device.touch(message.received);
                if rows_before == 0 && rows > 0 {
                    state.mark(stream.id);
                }
                Step::Done(Outcome::Accepted { rows: rows as u32 })
            }
            Err(rejection) => match self.growth(stream, slot.decoder.schema(), &message.payload, rejection) {
                Ok(growth) => Step::Learn(growth),
                Err(rejection) => {
                    if !visit.replay {
                        remember(&self.memory, &mut window, second);
                    }
                    drop(window);
                    device.touch(message.received);
                    self.hold(queue, visit, message, Place::of(stream, device), rejection)
                }
            },
        }
    }

    /// Arrival decides how long an id counts; a message out of quarantine arrives a second time.
    fn clock_second(&self, message: &Message) -> springhouse_model::Timestamp {
        message.received.max(self.clock.now())
    }

    /// Whether the message would fit if the schema grew.
    fn growth(
        &self,
        stream: &Arc<Stream>,
        schema: &Arc<Schema>,
        payload: &[u8],
        rejection: Rejection,
    ) -> Result<Learn, Rejection> {
        let may_grow = schema.additional
            && match rejection.reason {
                Reason::UnknownField => true,
                Reason::WrongType => schema.inferred,
                _ => false,
            };
        if !may_grow {
            return Err(rejection);
        }
        match schema.widened_by(payload)? {
            Some(_) => Ok(Learn::Growth(Arc::clone(stream), schema.version)),
            // The decoder is stricter than inference, and it is right.
            None => Err(rejection),
        }
    }

    /// Quarantines the message.
    fn hold(
        &self,
        queue: &mut Queue,
        visit: &Visit<'_>,
        message: &Message,
        place: Place,
        rejection: Rejection,
    ) -> Step {
        let reason = rejection.reason;
        if !visit.replay {
            self.numbers.quarantined(reason);
            let site = place.site.or_else(|| visit.who.site.clone());
            let held = Held {
                device: place.device.map(|device| device.as_str().into()),
                site: site.map(|site| site.as_str().into()),
                stream: place.stream,
                topic: message.topic.clone(),
                rejection,
                payload: message.payload.clone(),
                received: message.received,
                id: message.id.clone(),
            };
            queue.bytes += held.bytes();
            queue.held.push((Arc::clone(&visit.quarantine), held));
        }
        Step::Done(Outcome::Quarantined(reason))
    }
}

/// Whether the device may be spoken for by this sender.
fn refusal(visit: &Visit<'_>, message: &Message, device: &Device) -> Option<Refusal> {
    let who = visit.who;
    if visit.replay {
        return None;
    }
    let other_named = message.device.as_ref().is_some_and(|named| *named != device.id);
    if other_named || !who.may_speak_for(&device.id) {
        return Some(Refusal::Device);
    }
    let other_site =
        |own: Option<&SiteId>| matches!((own, &who.site), (Some(own), Some(site)) if own != site);
    // A device's own entry says where it is, whatever its token was issued for.
    (who.own_device().is_none() && device.with_site(other_site)).then_some(Refusal::Site)
}

fn remember(memory: &Memory, window: &mut Option<(u64, MutexGuard<'_, Window>)>, second: u32) {
    if let Some((hash, window)) = window {
        window.remember(memory, *hash, second);
    }
}
