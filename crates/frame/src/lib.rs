//! The one batch format of Springhouse: an Arrow batch as a compact columnar frame, and back.
//!
//! A frame is what the log keeps, what the edge buffers and what travels between them. It describes itself (column
//! names, types and nulls are inside), is exact to the bit and is refused, never trusted, when it is malformed:
//! decoding does not panic and does not allocate more than its [`Limits`] allow. `frame.proto` beside this crate's
//! manifest is the published description. There is no IO here and no knowledge of streams or schemas; metadata of
//! Arrow schemas is not kept.

mod decimal;
mod decode;
mod encode;
mod envelope;
mod error;
pub mod fuzz;
mod message;
mod shape;
mod text;

use arrow::datatypes::{DataType, TimeUnit};
use arrow::record_batch::RecordBatch;

pub use error::FrameError;

/// What a frame may claim before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub rows_max: u64,
    pub columns_max: u64,
    /// Bound on the frame before compression, and on the batch: 8 bytes for each row of each column, plus text.
    pub bytes_max: u64,
}

impl Default for Limits {
    /// Far above what the hub writes (a shard hands over a batch long before 100,000 rows), far below what hurts.
    fn default() -> Limits {
        Limits { rows_max: 4 << 20, columns_max: 4096, bytes_max: 128 << 20 }
    }
}

impl Limits {
    /// Refuses a batch of this shape; returns the bytes that are left for text.
    fn check_shape(&self, rows: u64, columns: u64) -> Result<u64, FrameError> {
        at_most("rows", rows, self.rows_max)?;
        at_most("columns", columns, self.columns_max)?;
        let fixed = rows.saturating_mul(columns).saturating_mul(8);
        at_most("bytes", fixed, self.bytes_max)?;
        Ok(self.bytes_max - fixed)
    }
}

fn at_most(what: &'static str, found: u64, allowed: u64) -> Result<(), FrameError> {
    if found > allowed { Err(FrameError::TooLarge { what, found, allowed }) } else { Ok(()) }
}

/// Encodes a batch of Boolean, Int64, Float64, Utf8 and Timestamp(µs, UTC) columns. What [`decode`] would refuse for
/// its size is refused here, so that nothing is written that cannot be read.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, FrameError> {
    let limits = Limits::default();
    let body = encode::body(batch, limits)?;
    envelope::wrap(body, limits)
}

/// Decodes a frame within the default [`Limits`].
pub fn decode(frame: &[u8]) -> Result<RecordBatch, FrameError> {
    decode_within(frame, Limits::default())
}

/// Decodes a frame within the given limits.
pub fn decode_within(frame: &[u8], limits: Limits) -> Result<RecordBatch, FrameError> {
    let body = envelope::unwrap(frame, limits)?;
    decode::batch(&body, limits)
}

/// The type of time columns: microseconds, UTC.
fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
