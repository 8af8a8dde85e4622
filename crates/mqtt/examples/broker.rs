//! The gateway alone, over a log in memory, for anyone: to run a conformance suite or a load generator against.
//!
//! `cargo run -p springhouse-mqtt --example broker [-- 127.0.0.1:1883]`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use springhouse_log::MemoryLog;
use springhouse_model::{Durable, TenantId};
use springhouse_mqtt::{Accepted, Credentials, Door, DoorError, Gateway, Inbound, Options, Outcome, Refusal};
use springhouse_policy::Principal;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Lets everyone in and keeps nothing: every commit is durable at once.
struct OpenDoor {
    commits: watch::Sender<Durable>,
    next: AtomicU64,
}

impl OpenDoor {
    fn commit(&self) -> u64 {
        let commit = self.next.fetch_add(1, Ordering::Relaxed);
        self.commits.send_modify(|durable| durable.commit = durable.commit.max(commit));
        commit
    }
}

#[async_trait]
impl Door for OpenDoor {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Refusal> {
        let everything = "#".parse().map_err(|_| Refusal::Unavailable)?;
        Ok(Principal::anonymous(TenantId::main(), credentials.listener, vec![everything]))
    }

    async fn accept(&self, _: &Principal, messages: Vec<Inbound>) -> Result<Accepted, DoorError> {
        Ok(Accepted { commit: self.commit(), outcomes: vec![Outcome::Kept; messages.len()] })
    }

    async fn journal(&self, _: Vec<Bytes>) -> Result<u64, DoorError> {
        Ok(self.commit())
    }

    fn commits(&self) -> watch::Receiver<Durable> {
        self.commits.subscribe()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".into());
    let door =
        Arc::new(OpenDoor { commits: watch::Sender::new(Durable::default()), next: AtomicU64::new(1) });
    // What the Eclipse suite expects of a server.
    let options = Options {
        keep_alive_max: Some(60),
        refused_filters: vec!["test/nosubscribe".into()],
        ..Options::default()
    };
    let gateway = Gateway::open(door, Arc::new(MemoryLog::default()), options).await?;
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    gateway.listen(listener, "broker").await?;
    Ok(())
}
