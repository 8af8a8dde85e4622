//! The MQTT door of this house: tokens from meta, readings to ingest, as the binary has it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use springhouse_ingest::{Ingest, Message, Outcome as Taken};
use springhouse_meta::Meta;
use springhouse_model::Durable;
use springhouse_mqtt::{Accepted, Credentials, Door, DoorError, Inbound, Outcome, Refusal};
use springhouse_policy::Principal;
use tokio::sync::watch;

pub struct HubDoor {
    meta: Arc<dyn Meta>,
    ingest: Ingest,
}

impl HubDoor {
    pub fn new(meta: Arc<dyn Meta>, ingest: Ingest) -> HubDoor {
        HubDoor { meta, ingest }
    }
}

#[async_trait]
impl Door for HubDoor {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Refusal> {
        assert_eq!(credentials.listener, "websocket");
        let password = credentials.password.ok_or(Refusal::NotAuthorized)?;
        let text = std::str::from_utf8(password.expose()).map_err(|_| Refusal::BadCredentials)?;
        let token = self.meta.verify_token(text).await.map_err(|_| Refusal::Unavailable)?;
        let token = token.ok_or(Refusal::BadCredentials)?;
        Ok(match token.device {
            Some(device) => Principal::device(token.tenant, token.site, device),
            None => Principal::token(token.tenant, token.site, token.id, token.name, token.scopes),
        })
    }

    async fn accept(&self, who: &Principal, messages: Vec<Inbound>) -> Result<Accepted, DoorError> {
        let messages: Vec<Message> = messages
            .into_iter()
            .map(|inbound| Message {
                device: None,
                topic: inbound.topic,
                payload: inbound.payload,
                received: inbound.received,
                id: inbound.id,
                journal: inbound.journal,
            })
            .collect();
        let mut taken = Vec::new();
        let commit = self.ingest.accept(who, &messages, &mut taken).await.map_err(|_| DoorError::Closed)?;
        let outcome = |taken: Taken| match taken {
            Taken::Accepted { .. } | Taken::Quarantined(_) => Outcome::Kept,
            Taken::Duplicate => Outcome::Duplicate,
            Taken::NotAStream => Outcome::NotAStream,
            Taken::Refused(_) => Outcome::Refused,
        };
        Ok(Accepted { commit, outcomes: taken.into_iter().map(outcome).collect() })
    }

    async fn journal(&self, events: Vec<Bytes>) -> Result<u64, DoorError> {
        self.ingest.journal(events).await.map_err(|_| DoorError::Closed)
    }

    fn commits(&self) -> watch::Receiver<Durable> {
        self.ingest.commits()
    }
}
