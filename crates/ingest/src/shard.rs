//! One worker queue: decoders with the rows that wait, and everything that commits with them.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;
use springhouse_meta::{Approval, Origin};
use springhouse_model::TenantId;
use springhouse_schema::{Decoder, Limits, Mode, Reason, Rows};
use tokio::sync::Notify;

use crate::quarantine::Held;
use crate::registry::{Device, Stream};

/// Topics a shard remembers; beyond, it begins anew. Only topics of registered devices and streams get in.
const TARGETS_MAX: usize = 100_000;

pub(crate) struct Shard {
    pub state: Mutex<State>,
    /// Rung when rows have been taken out, or when waiting for that has become useless.
    pub room: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    targets: HashMap<Topic, Target, ahash::RandomState>,
    /// Of the registry, when `targets` was begun.
    generation: u64,
    pub slots: HashMap<u32, Slot, ahash::RandomState>,
    /// Streams whose decoder has rows, in the order in which they came.
    dirty: Vec<u32>,
    pub queue: Queue,
}

/// What waits for a commit.
#[derive(Default)]
pub(crate) struct Queue {
    /// Complete rows of schema versions that have been superseded, and at a cut those of all decoders.
    pub rows: Vec<Sealed>,
    /// With the quarantine stream of its tenant.
    pub held: Vec<(Arc<Stream>, Held)>,
    pub journal: Vec<Event>,
    pub bytes: usize,
}

pub(crate) struct Sealed {
    pub stream: u32,
    pub version: u32,
    pub rows: Rows,
}

/// A session-journal event with its place in the order of all events.
pub(crate) struct Event {
    pub sequence: u64,
    pub payload: Bytes,
}

/// The decoder of one stream.
pub(crate) struct Slot {
    revision: u64,
    /// Why nothing can be written to this stream, if so.
    pub closed: Option<Reason>,
    pub decoder: Decoder,
}

/// Where a topic leads.
#[derive(Clone)]
pub(crate) struct Target {
    pub stream: Arc<Stream>,
    pub device: Arc<Device>,
}

#[derive(PartialEq, Eq, Hash)]
struct Topic {
    tenant: TenantId,
    topic: ByteString,
}

#[derive(Hash)]
struct TopicRef<'a> {
    tenant: &'a TenantId,
    topic: &'a str,
}

impl Equivalent<Topic> for TopicRef<'_> {
    fn equivalent(&self, key: &Topic) -> bool {
        *self.topic == *key.topic && *self.tenant == key.tenant
    }
}

impl Shard {
    pub fn new() -> Shard {
        Shard { state: Mutex::new(State::default()), room: Notify::new() }
    }
}

impl State {
    /// Forgets where topics lead when names have moved.
    pub fn follow(&mut self, generation: u64) {
        if self.generation != generation || self.targets.len() > TARGETS_MAX {
            self.targets.clear();
            self.generation = generation;
        }
    }

    pub fn target(&self, tenant: &TenantId, topic: &str) -> Option<&Target> {
        self.targets.get(&TopicRef { tenant, topic })
    }

    pub fn remember(&mut self, tenant: &TenantId, topic: &ByteString, target: Target) {
        // Copied: the text may be a slice of a whole network buffer.
        let topic = ByteString::from(topic.to_string());
        self.targets.insert(Topic { tenant: tenant.clone(), topic }, target);
    }

    /// Whether the bound has been reached.
    pub fn is_full(&self, bytes_max: usize) -> bool {
        self.queue.bytes >= bytes_max
    }

    /// The decoder of the stream by its schema of this moment. Rows of an older version are set aside.
    pub fn slot<'a>(
        slots: &'a mut HashMap<u32, Slot, ahash::RandomState>,
        queue: &mut Queue,
        stream: &Stream,
        limits: &Limits,
    ) -> &'a mut Slot {
        let slot = slots.entry(stream.id).or_insert_with(|| Slot::of(stream, limits));
        if slot.revision != stream.revision() {
            let next = Slot::of(stream, limits);
            if next.decoder.schema() == slot.decoder.schema() {
                (slot.revision, slot.closed) = (next.revision, next.closed);
            } else {
                let mut before = std::mem::replace(slot, next);
                queue.seal(stream.id, &mut before.decoder);
            }
        }
        slot
    }

    /// Notes that the decoder of a stream, empty before, has rows.
    pub fn mark(&mut self, stream: u32) {
        if self.dirty.last() != Some(&stream) {
            self.dirty.push(stream);
        }
    }

    /// Takes out everything that waits. Moves no rows.
    pub fn cut(&mut self) -> Queue {
        for stream in self.dirty.drain(..) {
            if let Some(slot) = self.slots.get_mut(&stream) {
                self.queue.seal(stream, &mut slot.decoder);
            }
        }
        std::mem::take(&mut self.queue)
    }
}

impl Queue {
    fn seal(&mut self, stream: u32, decoder: &mut Decoder) {
        if decoder.rows() > 0 {
            let version = decoder.schema().version;
            self.rows.push(Sealed { stream, version, rows: decoder.take() });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.held.is_empty() && self.journal.is_empty()
    }
}

impl Slot {
    fn of(stream: &Stream, limits: &Limits) -> Slot {
        // The revision first: a change between the two loads is seen again at the next message.
        let revision = stream.revision();
        let (entry, schema) = (stream.entry(), stream.schema());
        let closed = match (&entry.state, &entry.origin) {
            (Approval::Refused, _) => Some(Reason::StreamRefused),
            (_, Origin::Derived { .. }) => Some(Reason::NotWritable),
            _ => None,
        };
        Slot { revision, closed, decoder: Decoder::new(schema, Mode::Identity, *limits) }
    }
}
