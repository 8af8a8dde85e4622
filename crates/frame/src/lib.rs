//! The one batch format of Springhouse: an Arrow batch as a compact columnar frame, and back.
//!
//! A frame is what the log keeps, what the edge buffers and what travels between them. It describes itself (column
//! names, types and nulls are inside), is exact to the bit and is refused, never trusted, when it is malformed:
//! decoding does not panic and does not allocate more than its [`Limits`] allow. `frame.proto` beside this crate's
//! manifest is the published description. There is no IO here and no knowledge of streams or schemas.

use arrow::record_batch::RecordBatch;

mod error;

pub use error::FrameError;

/// What a frame may claim before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub rows_max: usize,
    pub columns_max: usize,
    /// Bound on the frame after decompression, and on the batch that is built from it.
    pub bytes_max: usize,
}

impl Default for Limits {
    /// Far above what the hub writes (a shard hands over a batch long before 100,000 rows), far below what hurts.
    fn default() -> Limits {
        Limits { rows_max: 4 << 20, columns_max: 4096, bytes_max: 256 << 20 }
    }
}

/// Encodes a batch of Boolean, Int64, Float64, Utf8 and Timestamp(µs, UTC) columns.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, FrameError> {
    let _ = batch;
    Err(FrameError::Malformed { what: "encoder" })
}

/// Decodes a frame within the default [`Limits`].
pub fn decode(frame: &[u8]) -> Result<RecordBatch, FrameError> {
    decode_within(frame, Limits::default())
}

/// Decodes a frame within the given limits.
pub fn decode_within(frame: &[u8], limits: Limits) -> Result<RecordBatch, FrameError> {
    let _ = (frame, limits);
    Err(FrameError::Malformed { what: "decoder" })
}
