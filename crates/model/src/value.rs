//! The types that a property of a reading can have.

use serde::{Deserialize, Serialize};

/// The closed set of column types; each has exactly one Arrow type (see the schema crate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    Bool,
    /// 64-bit signed.
    Int,
    /// IEEE 754 double.
    Float,
    /// UTF-8; also carries arrays as JSON text.
    Text,
    /// Microseconds since the epoch, UTC.
    Time,
}
