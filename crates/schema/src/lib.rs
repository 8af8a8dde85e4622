//! What a stream's readings look like: types, versions, and the one decoder from JSON to columns.
//!
//! A payload is decoded once, straight into column builders, by the schema of its stream. A message that does not
//! fit is refused whole with a [`Reason`]; its neighbours are untouched. Which stream a message belongs to and what
//! becomes of a refused one is decided by `ingest`; nothing here does IO.

mod adapt;
mod columns;
mod decoder;
pub mod fuzz;
mod infer;
mod json_schema;
mod reason;
mod schema;

pub use adapt::{AdaptError, Incompatibility, adapt};
pub use columns::{
    DEVICE_COLUMN, ID_COLUMN, RECEIVED_COLUMN, SITE_COLUMN, TS_COLUMN, arrow_type, column_name,
    is_system_column, value_type,
};
pub use decoder::{Decoder, Limits, Mode, Origin, Rows, TimeBounds};
pub use infer::{FIELDS_MAX, is_property_name};
pub use json_schema::JsonSchemaError;
pub use reason::{Reason, Rejection, UnknownReason};
pub use schema::{Field, Schema};
