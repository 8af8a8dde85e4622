//! What was it once, and what is it now: history of every stream as Parquet, and the last value of every property.
//!
//! The lake is a consumer of the log. It keeps what it has read in memory until there is enough of it (the tail), sorts
//! it by device and time, writes it to an object store and lists the files in meta in the same transaction as its
//! offset: a row is in the tail or in a listed file, never in both, also over kill -9. A query sees both as one table;
//! which tables there are is decided by the tenant who asks.
//!
//! ```text
//!            ┌▶ tail (memory) ──flush──▶ Parquet objects ──merge──▶ fewer, larger ones
//!  log ──────┤                └────────────────┬─────────────────────────┘
//!            └▶ twin (memory, meta)         manifest (meta) ──▶ query, series, recent
//! ```
//!
//! The lake writes nothing into the log and changes no stream. Removing rows of one person is not in this version.

mod catalog;
mod compact;
mod error;
mod flush;
mod keeper;
mod lake;
mod manifest;
mod options;
mod parquet_file;
mod query;
mod sorted;
mod state;
mod storage;
mod tail;
mod twin;

pub use catalog::{Catalog, LoadedCatalog};
pub use error::LakeError;
pub use lake::{Lake, Parts, Size, Stats};
pub use options::Options;
pub use query::{
    Backtest, BacktestPart, BacktestRequest, QueryResult, QueryRows, RowStream, RowsFilter, Series,
    SeriesRequest,
};
pub use twin::{Latest, Twin};
