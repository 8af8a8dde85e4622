//! What one wake-up of a connection brings through the door, and the answers that wait for its commit.

use std::time::Instant;

use bytes::BytesMut;

use crate::door::Inbound;
use crate::event::Entry;
use crate::journal::{Guard, Journal};
use crate::route::Prepared;
use crate::wire::{Ack, Version, put_ack, put_suback, put_unsuback};

/// A packet that leaves when what it promises is durable.
#[derive(Debug)]
pub enum Answer {
    Ack(Ack),
    Suback { packet_id: u16, codes: Vec<u8> },
    Unsuback { packet_id: u16, codes: Vec<u8> },
}

impl Answer {
    pub fn put(&self, out: &mut BytesMut, version: Version) {
        match self {
            Answer::Ack(ack) => put_ack(out, version, *ack),
            Answer::Suback { packet_id, codes } => put_suback(out, version, *packet_id, codes),
            Answer::Unsuback { packet_id, codes } => put_unsuback(out, version, *packet_id, codes),
        }
    }
}

/// An answer in the making: the message that it acknowledges, and a commit that it has to wait for in any case.
#[derive(Debug)]
pub struct Promise {
    pub answer: Answer,
    pub message: Option<usize>,
    pub commit: u64,
}

/// An answer and the commit after which it may leave.
#[derive(Debug)]
pub struct Due {
    pub answer: Answer,
    pub commit: u64,
    /// Set on the last answer of a batch: when the batch was read.
    pub read_at: Option<Instant>,
}

/// Packets of one wake-up in their order.
#[derive(Default)]
pub struct Batch {
    pub messages: Vec<Inbound>,
    /// Messages that have subscribers or are retained, by index.
    pub prepared: Vec<(usize, Prepared)>,
    pub promises: Vec<Promise>,
    /// Events that belong to no message.
    pub events: Vec<Entry>,
    /// Some message carries an event.
    pub has_message_events: bool,
    guard: Option<Guard>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.promises.is_empty() && self.events.is_empty()
    }

    /// Has to be called before a change is made that is journaled.
    pub fn hold(&mut self, journal: &Journal) {
        if self.guard.is_none() {
            self.guard = Some(journal.guard());
        }
    }

    pub fn promise(&mut self, answer: Answer) {
        self.promises.push(Promise { answer, message: None, commit: 0 });
    }
}
