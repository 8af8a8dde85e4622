//! Reference tables: data beside the streams (rooms, tariffs, limits) that queries look up by a key.
//!
//! ```text
//! file, address, query, request ─▶ reading (csv, ndjson, parquet) ─▶ rows in the order of the key ─▶ lookups
//! ```
//! What is read is whole and right, or refused: every row fits the declaration and no key stands twice. When a table gets
//! other rows, and which of them a pipeline sees, is the hub's ([`crate::Engine`]).

mod columns;
mod csv;
mod definition;
mod error;
mod fetch;
mod ndjson;
mod parquet;
mod reading;
mod rows;

pub use definition::Definition;
pub use error::LoadError;
pub use fetch::{Fetch, FetchError, without_query};
pub use reading::{Bounds, read_batches, read_bytes, read_file};
pub use rows::TableRows;

pub(crate) use definition::valid_from_of;

pub(crate) use parquet::write as write_parquet;
