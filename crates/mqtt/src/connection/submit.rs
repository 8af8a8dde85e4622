//! A batch on its way through the door, and what its answer sets free.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use springhouse_model::Durable;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Connection;
use super::batch::{Answer, Batch, Due};
use crate::door::{Accepted, DoorError, Outcome};
use crate::reason::{self, Fault};
use crate::shared::encode_in_parts;
use crate::wire::{Ack, AckKind};

type Answering = Pin<Box<dyn Future<Output = Result<Accepted, DoorError>> + Send>>;

/// A batch that waits for the door.
pub struct Accepting {
    pub batch: Batch,
    pub read_at: Instant,
    door: Answering,
}

impl Accepting {
    /// The answer of the door; can be waited for again when the wait was cancelled.
    pub async fn answer(&mut self) -> Result<Accepted, DoorError> {
        self.door.as_mut().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends the batch through the door. A batch that has nothing to keep is settled at once.
    pub(super) fn submit(&mut self) -> Option<Accepting> {
        let mut batch = std::mem::take(&mut self.batch);
        for (count, counter) in self.counts.iter_mut().zip(&self.shared.metrics.messages_in) {
            if *count > 0 {
                counter.increment(std::mem::take(count));
            }
        }
        let (messages, events) = (std::mem::take(&mut batch.messages), std::mem::take(&mut batch.events));
        if messages.is_empty() && events.is_empty() {
            self.settle(batch, &Accepted::default(), self.read_at);
            return None;
        }
        let (door, who) = (Arc::clone(&self.shared.door), Arc::clone(&self.client.who));
        let door = Box::pin(async move {
            let mut accepted = Accepted::default();
            if !messages.is_empty() {
                accepted = door.accept(&who, messages).await?;
            }
            if !events.is_empty() {
                let commit = door.journal(encode_in_parts(&events)).await?;
                accepted.commit = accepted.commit.max(commit);
            }
            Ok(accepted)
        });
        Some(Accepting { batch, read_at: self.read_at, door })
    }

    /// Messages go to their subscribers, promises become answers that wait for the commit.
    pub(super) fn settle(&mut self, batch: Batch, accepted: &Accepted, read_at: Instant) {
        let Accepted { commit, outcomes } = accepted;
        self.shared.journal.committed(*commit);
        for (index, prepared) in batch.prepared {
            match outcomes.get(index) {
                Some(Outcome::Refused | Outcome::NotTaken) => self.shared.give_back(prepared),
                _ => self.shared.deliver(&self.client.tenant, prepared, *commit),
            }
        }
        self.is_interrupted |= outcomes.contains(&Outcome::NotTaken);
        if *commit > 0 {
            let mut inner = self.client.session.lock();
            inner.last_commit = inner.last_commit.max(*commit);
        }
        let count = batch.promises.len();
        for (position, mut promise) in batch.promises.into_iter().enumerate() {
            let mut after = (*commit).max(promise.commit);
            match promise.message.and_then(|index| outcomes.get(index)) {
                // Nobody will ask for it after a crash.
                Some(Outcome::NotAStream) if !batch.has_message_events => after = 0,
                Some(Outcome::Refused) => self.mark_refused(&mut promise.answer),
                Some(Outcome::NotTaken) => {
                    self.let_go(&promise.answer);
                    continue;
                }
                _ => {}
            }
            let read_at = (position + 1 == count).then_some(read_at);
            self.answers.push_back(Due { answer: promise.answer, commit: after, read_at });
        }
    }

    fn mark_refused(&self, answer: &mut Answer) {
        self.shared.metrics.refused("publish_refused");
        self.let_go(answer);
        if let Answer::Ack(ack) = answer {
            ack.reason = reason::NOT_AUTHORIZED;
        }
    }

    /// Gives back the identifier of a QoS 2 message that is not kept: its repetition must not pass for held.
    fn let_go(&self, answer: &Answer) {
        if let Answer::Ack(Ack { kind: AckKind::Pubrec, packet_id, .. }) = answer {
            self.client.session.lock().state.received.remove(packet_id);
        }
    }

    /// Writes the answers whose commit is durable, in their order.
    pub(super) fn send_answers(&mut self, durable: &Durable) -> Result<(), Fault> {
        while let Some(due) = self.answers.front() {
            if due.commit > durable.commit {
                return match durable.poisoned {
                    Some(_) => Err(Fault::of(reason::SERVER_ERROR, "log has failed")),
                    None => Ok(()),
                };
            }
            due.answer.put(&mut self.link.out, self.client.terms.version);
            if let Answer::Ack(ack) = &due.answer {
                let ends = match ack.kind {
                    AckKind::Puback | AckKind::Pubcomp => true,
                    AckKind::Pubrec => ack.reason >= reason::UNSPECIFIED,
                    AckKind::Pubrel => false,
                };
                self.unacknowledged = self.unacknowledged.saturating_sub(u32::from(ends));
            }
            if let Some(read_at) = due.read_at {
                self.shared.metrics.ack_seconds.record(read_at.elapsed());
            }
            self.answers.pop_front();
        }
        if self.answers.capacity() > ANSWERS_KEPT_MAX {
            self.answers = Default::default();
        }
        Ok(())
    }
}

/// Room for answers that a connection keeps while it is quiet.
const ANSWERS_KEPT_MAX: usize = 256;
