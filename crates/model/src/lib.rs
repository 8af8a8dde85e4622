//! The words of Springhouse: who sends, what a stream is called, when something happened.
//!
//! Every other crate speaks in these types, so that a string that has not been checked cannot stand where a
//! device or a stream is meant. There is no IO here and no knowledge of any format.

mod clock;
mod commit;
mod names;
mod sensitive;
mod severity;
mod timestamp;
mod value;

pub use clock::{Clock, ManualClock, SystemClock};
pub use commit::{CommitId, Durable};
pub use names::{DeviceId, NameError, PARTITIONS, Partition, SiteId, StreamKey, StreamName, TenantId};
pub use sensitive::Sensitive;
pub use severity::Severity;
pub use timestamp::Timestamp;
pub use value::ValueType;

/// Whose fault an error is; drives HTTP status, alarms and retry advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request or the payload is wrong; repeating it unchanged is useless.
    User,
    /// Disk, network or another system failed; repeating later may help.
    Environment,
    /// A fault of the program.
    Internal,
}
