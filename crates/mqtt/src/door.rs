//! What the gateway asks of the house behind it: who is this client, take these messages, when are they safe.
//!
//! The binary implements [`Door`] over identity (meta) and ingest; tests implement it over a log in memory. The gateway
//! therefore knows neither schemas nor databases, and an acknowledgement depends on nothing but [`Door::commits`].

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use springhouse_model::{CommitId, Durable, Sensitive, Timestamp};
use springhouse_policy::Principal;
use tokio::sync::watch;

/// How a client reached the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
    WebSocket,
}

/// What a client shows when it connects.
#[derive(Debug)]
pub struct Credentials<'a> {
    /// Name of the listener, as the configuration gives it.
    pub listener: &'a str,
    pub peer: SocketAddr,
    pub transport: Transport,
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a Sensitive<Vec<u8>>>,
    /// The verified client certificate of the TLS handshake, DER.
    pub certificate: Option<&'a [u8]>,
}

/// Why a client is not let in. Decides the CONNACK and nothing else: the reason is not told in more detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("user name or password is wrong")]
    BadCredentials,
    #[error("not authorized")]
    NotAuthorized,
    #[error("banned")]
    Banned,
    #[error("identity cannot be checked at the moment")]
    Unavailable,
}

impl Refusal {
    pub const fn code(self) -> &'static str {
        match self {
            Refusal::BadCredentials => "bad_credentials",
            Refusal::NotAuthorized => "not_authorized",
            Refusal::Banned => "banned",
            Refusal::Unavailable => "unavailable",
        }
    }
}

/// A published message on its way in.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub topic: ByteString,
    pub payload: Bytes,
    /// When the bytes were read from the socket.
    pub received: Timestamp,
    /// Value of the user property `message-id` (MQTT 5), by which a repeated QoS 1 publish is recognized.
    pub id: Option<Arc<str>>,
    /// Session-journal event that commits in the same append as the reading, so that both or neither survive. The
    /// event of a message that is [`Outcome::Refused`] must not be written.
    pub journal: Option<Bytes>,
}

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Part of a stream, or quarantined: either way kept once the commit is durable.
    Kept,
    /// Known already by its message id; acknowledged like the first.
    Duplicate,
    /// No stream has this topic; the gateway only passes it on to subscribers.
    NotAStream,
    /// Refused, for example because the device is. Not kept, not passed on.
    Refused,
    /// The house failed before it came to this message; nothing of it is kept, its journal event included. It is not
    /// answered, and the connection ends, so that the client repeats it.
    NotTaken,
}

/// The answer to one batch.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// The commit that will hold everything of the batch, journal events included.
    pub commit: CommitId,
    /// One for each message, in order.
    pub outcomes: Vec<Outcome>,
}

/// Nothing will be taken any more, and nothing that is not durable will ever be. The connection is closed without an
/// acknowledgement. A failure that may pass is no error: see [`Outcome::NotTaken`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum DoorError {
    #[error("the log has failed: {reason}")]
    Poisoned { reason: String },
    #[error("shutting down")]
    Closed,
}

/// The house as the gateway sees it.
#[async_trait]
pub trait Door: Send + Sync + 'static {
    /// Who a client is and what it may do; asked once for each CONNECT.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Principal, Refusal>;

    /// Takes a batch in order. Waits while there is no room; the socket is not read meanwhile.
    async fn accept(&self, who: &Principal, messages: Vec<Inbound>) -> Result<Accepted, DoorError>;

    /// Writes session-journal events (`Kind::Sessions` records); returns the commit that will hold them.
    async fn journal(&self, events: Vec<Bytes>) -> Result<CommitId, DoorError>;

    /// How far commits are durable; moves after each group commit.
    fn commits(&self) -> watch::Receiver<Durable>;
}
