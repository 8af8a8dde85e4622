//! The only way in: who sends, to which stream, does it fit, is it new; then into the log, and only then known to
//! anybody.
//!
//! ```text
//!            ┌ route: topic → device, stream ┐                ┌ one committer ┐
//! accept ───▶│ registry: known? allowed?     │──▶ shards ────▶│ cut, sort,    │──▶ log.append ──▶ commits()
//!            │ dedup: seen before?           │   (builders)   │ encode        │
//!            └ decode by the schema          ┘                └───────────────┘
//!                     └ does not fit ──▶ rows of `_quarantine`, durable with their neighbours ──▶ inbox in meta
//! ```
//! A message is acknowledged by its gateway after [`Ingest::commits`] has reached the commit that `accept` returned.
//! `accept` never waits for the disk, only for room: while the committer encodes and syncs one commit, the shards
//! fill the next. Nothing here knows MQTT or HTTP.

mod commit;
mod dedup;
mod derived;
mod door;
mod error;
mod inbox;
mod message;
mod numbers;
mod open;
mod options;
mod quarantine;
mod registry;
mod replay;
mod resolve;
mod route;
mod shard;
mod spans;

pub use derived::{Lineage, PutAside, row_as_json};
pub use door::Ingest;
pub use error::{IngestError, RegistryError};
pub use message::{MESSAGE_ID_BYTES_MAX, Message, Outcome, Refusal, is_message_id};
pub use numbers::Stats;
pub use options::{Admission, Options};
pub use quarantine::QUARANTINE_STREAM;
pub use registry::{Device, Registry, Stream};
pub use replay::ReplayReport;
pub use route::{Route, RouteError};
