//! The durable log: what has been appended survives kill -9 and power cuts, in one order for all readers.
//!
//! It stands between ingest, the only writer, and the readers (engine, lake, sessions, dedup windows). It does not
//! know what a payload means, keeps no positions of its readers (they commit them with their own effects), and knows
//! devices only as 64 partitions whose rows it numbers.
//!
//! [`Log`] is the contract, [`conformance`] its test suite, [`DiskLog`] the implementation of a hub and an edge,
//! [`MemoryLog`] one for tests.

mod bytes_in;
pub mod conformance;
mod contract;
mod disk;
mod disk_log;
mod error;
pub mod fuzz;
mod group;
mod memory;
mod queue;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
mod shared;
pub mod sim_disk;
mod store;
mod tail;
mod writer;

pub use contract::{Log, Stats};
pub use disk::{Disk, DiskFile, FileDisk};
pub use disk_log::{DiskLog, Options};
pub use error::LogError;
pub use memory::MemoryLog;
pub use reader::{PACE, Reader};
pub use record::{Append, Kind, Offset, Producer, Record, Span};
