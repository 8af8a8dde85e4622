//! What can go wrong at the door. A message that does not fit is no error, it is an outcome.

use std::sync::Arc;

use springhouse_log::{LogError, Offset};
use springhouse_meta::MetaError;
use springhouse_model::{ErrorClass, StreamKey};
use springhouse_schema::{AdaptError, Incompatibility};

/// A batch of messages was not taken as a whole, or not to its end; none of it may be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Goes away by itself once there is room; what was accepted before is kept and will be durable.
    #[error("no readings are taken while the disk is full: {reason}; hint: free space")]
    Full { reason: Arc<str> },
    #[error("the log has failed: {reason}; hint: check the disk, then restart")]
    Poisoned { reason: Arc<str> },
    #[error("the door is closed")]
    Closed,
    #[error("cannot register what was seen for the first time")]
    Registry(#[from] RegistryError),
    #[error("cannot write derived rows")]
    Log(#[from] LogError),
    #[error("cannot read or write the quarantine")]
    Meta(#[from] MetaError),
    #[error("stream `{stream}` does not exist")]
    NoStream { stream: StreamKey },
    /// Going on would give the number to another stream, and these readings with it.
    #[error(
        "the log holds readings of stream number {stream} (at {offset}), but meta has given numbers up to {highest} only: it \
         is older than the log; hint: restore both from the same backup"
    )]
    MetaBehind { stream: u32, offset: Offset, highest: u32 },
    #[error("rows for stream `{stream}` do not have its columns")]
    Columns {
        stream: StreamKey,
        #[source]
        source: AdaptError,
    },
    #[error("cannot encode rows")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot start the thread that encodes")]
    Threads(#[source] std::io::Error),
}

impl IngestError {
    pub fn class(&self) -> ErrorClass {
        match self {
            IngestError::Full { .. }
            | IngestError::Poisoned { .. }
            | IngestError::Closed
            | IngestError::MetaBehind { .. }
            | IngestError::Threads(_) => ErrorClass::Environment,
            IngestError::Registry(error) => error.class(),
            IngestError::Log(error) => error.class(),
            IngestError::Meta(error) => error.class(),
            IngestError::NoStream { .. } | IngestError::Columns { .. } => ErrorClass::User,
            IngestError::Encode(_) => ErrorClass::Internal,
        }
    }
}

/// A change of the registry did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("stream `{stream}` does not exist")]
    NoStream { stream: StreamKey },
    #[error("the schema cannot follow the one that stored readings have: {}", list(.reasons))]
    Incompatible { reasons: Vec<Incompatibility> },
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl RegistryError {
    pub fn class(&self) -> ErrorClass {
        match self {
            RegistryError::NoStream { .. } | RegistryError::Incompatible { .. } => ErrorClass::User,
            RegistryError::Meta(error) => error.class(),
        }
    }
}

fn list(reasons: &[Incompatibility]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
