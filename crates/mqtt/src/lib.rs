//! The MQTT gateway: the door through which devices deliver and listen (MQTT 3.1.1 and 5).
//!
//! It stands at the beginning of the data's way, before ingest. It owns connections, sessions, subscriptions, queues and
//! retained messages; it does not own the messages: [`Door::accept`] takes them in batches, and an acknowledgement leaves
//! only after [`Door::commits`] says that the commit which holds the message is durable. It knows nothing about schemas,
//! streams or storage, and asks a [`springhouse_policy::Principal`] for every right.
//!
//! Reading order: [`door`](Door) (what is asked of the house), `connection` (one client), `route` (from a message to its
//! subscribers), `session` and `state` (what is kept), `snapshot` (how it survives).

mod connection;
mod door;
mod event;
mod gateway;
mod journal;
mod lifecycle;
mod listen;
mod message;
mod metrics;
mod options;
mod reason;
mod retained;
mod route;
mod session;
mod shared;
mod snapshot;
mod state;
mod tenant;
mod timers;
mod topic;
mod tree;
mod wills;
mod wire;

pub use connection::Origin;
pub use door::{Accepted, Credentials, Door, DoorError, Inbound, Outcome, Refusal, Transport};
pub use gateway::{Gateway, OpenError};
pub use listen::{TlsError, tls_config};
pub use options::Options;
pub use snapshot::SnapshotError;

/// Decodes bytes as packets of a client and counts those that are valid: the body of the fuzz target.
pub fn decode_packets(bytes: &[u8]) -> usize {
    wire::decode_all(bytes)
}
