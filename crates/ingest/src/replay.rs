//! Messages out of quarantine, through the same door a second time.
//!
//! A replayed message carries the id `q-<id>`: when the hub dies after the rows are durable and before the inbox
//! knows, the next replay finds a duplicate and only takes the message off the inbox.

use springhouse_meta::QuarantinedMessage;
use springhouse_model::{TenantId, Timestamp};
use springhouse_policy::{Principal, Scope};
use springhouse_schema::TimeBounds;

use crate::message::{Message, Outcome};
use crate::{Ingest, IngestError};

/// Messages between two marks in the inbox; less than the ids that a device's window remembers, so that none of an
/// unmarked chunk can have fallen out of it.
const CHUNK: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Messages that are part of their stream by now.
    pub replayed: u64,
    /// Messages that still do not fit and stay in the inbox.
    pub still_failing: u64,
}

impl Ingest {
    /// Tries messages again, after a schema has been changed or a device approved. Returns when those that fit are
    /// durable. Ids that do not exist are passed over, and so are those that were replayed already.
    pub async fn replay(&self, tenant: &TenantId, ids: &[String]) -> Result<ReplayReport, IngestError> {
        let mut report = ReplayReport::default();
        for chunk in ids.chunks(CHUNK) {
            let mut messages = self.shared.meta.quarantine_get(tenant, chunk).await?;
            messages.retain(|message| message.replayed_at.is_none());
            messages.sort_by(|a, b| (a.received, &a.id).cmp(&(b.received, &b.id)));
            let mut fits = Vec::new();
            let mut commit = 0;
            for message in messages {
                let id = message.id.clone();
                match self.replay_one(message, &mut commit).await? {
                    Outcome::Accepted { .. } | Outcome::Duplicate => fits.push(id),
                    _ => report.still_failing += 1,
                }
            }
            if !fits.is_empty() {
                self.durable(commit).await?;
                self.shared.meta.quarantine_mark_replayed(tenant, &fits).await?;
                report.replayed += fits.len() as u64;
            }
        }
        Ok(report)
    }

    /// The arrival that counts for a message without a time of its own. One from before the hub's clock was set would be
    /// refused again, for ever.
    fn believable(&self, arrival: Timestamp) -> Timestamp {
        match arrival < TimeBounds::default().oldest {
            true => self.shared.clock.now(),
            false => arrival,
        }
    }

    async fn replay_one(
        &self,
        message: QuarantinedMessage,
        commit: &mut u64,
    ) -> Result<Outcome, IngestError> {
        // The sender was judged when the message came; from here on it is the tenant's own.
        let who =
            Principal::token(message.tenant, message.site, "quarantine", "quarantine", vec![Scope::Admin]);
        let again = Message {
            device: message.device,
            topic: message.topic.into(),
            payload: message.payload.into(),
            received: self.believable(message.received),
            id: Some(format!("q-{}", message.id).into()),
            journal: None,
        };
        let mut outcomes = Vec::with_capacity(1);
        *commit = self.accept_as(&who, &[again], &mut outcomes, true).await?.max(*commit);
        Ok(outcomes.first().copied().unwrap_or(Outcome::NotAStream))
    }
}
