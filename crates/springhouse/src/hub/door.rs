//! The gateway's door, over identity (meta) and ingest: translates between the two vocabularies and decides nothing
//! but who a client is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use springhouse_api::CERTIFICATE_CREDENTIAL;
use springhouse_identity::{CertificateName, Shown};
use springhouse_ingest::{Ingest, IngestError, Message, Outcome as Taken};
use springhouse_meta::{Approval, Meta, TokenInfo};
use springhouse_model::{DeviceId, Durable, TenantId};
use springhouse_mqtt::{Accepted, Credentials, Door, DoorError, Inbound, Outcome, Refusal};
use springhouse_policy::{Principal, TopicFilter};
use tokio::sync::watch;

/// How long a batch waits before it asks again whether the disk has room. Its connection is not read meanwhile.
const FULL_RETRY: Duration = Duration::from_millis(250);

pub struct HubDoor {
    meta: Arc<dyn Meta>,
    ingest: Ingest,
    /// What clients without credentials may publish and subscribe to, by the name of the listener.
    anonymous: HashMap<String, Vec<TopicFilter>>,
}

impl HubDoor {
    pub fn new(meta: Arc<dyn Meta>, ingest: Ingest, anonymous: HashMap<String, Vec<TopicFilter>>) -> HubDoor {
        HubDoor { meta, ingest, anonymous }
    }

    async fn principal(&self, token: TokenInfo) -> Result<Principal, Refusal> {
        let Some(device) = token.device else {
            return Ok(Principal::token(token.tenant, token.site, token.id, token.name, token.scopes));
        };
        let entry = self.device(&token.tenant, &device).await?;
        if entry.as_ref().is_some_and(|entry| entry.state == Approval::Refused) {
            return Err(Refusal::Banned);
        }
        let site = entry.and_then(|entry| entry.site).or(token.site);
        Ok(Principal::device(token.tenant, site, device).with_credential(token.id))
    }

    /// Whose certificate it is. The handshake has checked it; here counts that the hub knows it and has not revoked it since.
    async fn holder(&self, certificate: &[u8]) -> Result<Principal, Refusal> {
        let shown = Shown::read(certificate).map_err(|_| Refusal::BadCredentials)?;
        let serial = shown.serial.to_string();
        let valid = self.meta.valid_certificates(std::slice::from_ref(&serial)).await.map_err(|error| {
            tracing::error!(%error, "cannot look up a certificate");
            Refusal::Unavailable
        })?;
        if valid.is_empty() {
            return Err(Refusal::BadCredentials);
        }
        let CertificateName { tenant, site, device } = shown.name;
        let entry = self.device(&tenant, &device).await?;
        if entry.as_ref().is_some_and(|entry| entry.state == Approval::Refused) {
            return Err(Refusal::Banned);
        }
        let site = entry.and_then(|entry| entry.site).or(site);
        Ok(Principal::device(tenant, site, device)
            .with_credential(format!("{CERTIFICATE_CREDENTIAL}{serial}")))
    }

    async fn device(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
    ) -> Result<Option<springhouse_meta::Device>, Refusal> {
        self.meta.device(tenant, device).await.map_err(|error| {
            tracing::error!(%error, "cannot look up a device");
            Refusal::Unavailable
        })
    }
}

#[async_trait]
impl Door for HubDoor {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Refusal> {
        if let Some(topics) = self.anonymous.get(credentials.listener) {
            return Ok(Principal::anonymous(TenantId::main(), credentials.listener, topics.clone()));
        }
        if let Some(certificate) = credentials.certificate {
            return self.holder(certificate).await;
        }
        // The token says who it is; a user name is a label that some clients insist on.
        let password = credentials.password.ok_or(Refusal::NotAuthorized)?;
        let text = std::str::from_utf8(password.expose()).map_err(|_| Refusal::BadCredentials)?;
        match self.meta.verify_token(text).await {
            Ok(Some(token)) => self.principal(token).await,
            Ok(None) => Err(Refusal::BadCredentials),
            Err(error) => {
                tracing::error!(%error, "cannot verify a token");
                Err(Refusal::Unavailable)
            }
        }
    }

    async fn accept(&self, who: &Principal, messages: Vec<Inbound>) -> Result<Accepted, DoorError> {
        let messages: Vec<Message> = messages.into_iter().map(message).collect();
        let mut taken = Vec::with_capacity(messages.len());
        let commit = loop {
            let rest = messages.get(taken.len()..).unwrap_or_default();
            match self.ingest.accept(who, rest, &mut taken).await {
                Ok(commit) => break commit,
                Err(IngestError::Full { .. }) => tokio::time::sleep(FULL_RETRY).await,
                Err(IngestError::Poisoned { reason }) => return Err(poisoned(&reason)),
                Err(IngestError::Closed) => return Err(DoorError::Closed),
                // Such as the database: it may work again when the client repeats the rest.
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a message is not taken");
                    // What was taken before is in this commit or in an earlier one.
                    break self.journal(Vec::new()).await?;
                }
            }
        };
        let mut outcomes: Vec<Outcome> = taken.into_iter().map(outcome).collect();
        outcomes.resize(messages.len(), Outcome::NotTaken);
        Ok(Accepted { commit, outcomes })
    }

    async fn journal(&self, events: Vec<Bytes>) -> Result<u64, DoorError> {
        loop {
            match self.ingest.journal(events.clone()).await {
                Ok(commit) => return Ok(commit),
                Err(IngestError::Full { .. }) => tokio::time::sleep(FULL_RETRY).await,
                Err(IngestError::Poisoned { reason }) => return Err(poisoned(&reason)),
                Err(_) => return Err(DoorError::Closed),
            }
        }
    }

    fn commits(&self) -> watch::Receiver<Durable> {
        self.ingest.commits()
    }
}

fn message(inbound: Inbound) -> Message {
    Message {
        device: None,
        topic: inbound.topic,
        payload: inbound.payload,
        received: inbound.received,
        id: inbound.id,
        journal: inbound.journal,
    }
}

fn outcome(taken: Taken) -> Outcome {
    match taken {
        Taken::Accepted { .. } | Taken::Quarantined(_) => Outcome::Kept,
        Taken::Duplicate => Outcome::Duplicate,
        Taken::NotAStream => Outcome::NotAStream,
        Taken::Refused(_) => Outcome::Refused,
    }
}

fn poisoned(reason: &str) -> DoorError {
    DoorError::Poisoned { reason: reason.to_owned() }
}
