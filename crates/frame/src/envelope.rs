//! The bytes around the body: version, compression, length. `frame.proto` draws them.

use std::borrow::Cow;
use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::{FrameError, Limits, at_most};

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// The fastest of zstd's regular levels: the log is written once per message and read a few times.
const ZSTD_LEVEL: i32 = 1;
/// Below this zstd's own headers eat what it saves.
const COMPRESS_BYTES_MIN: usize = 256;

thread_local! {
    // A context takes longer to set up than a batch takes to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Puts a body into its envelope; `body` begins with [`HEADER_BYTES`] free bytes.
pub(crate) fn wrap(mut body: Vec<u8>, limits: Limits) -> Result<Vec<u8>, FrameError> {
    let body_bytes = body.len() - HEADER_BYTES;
    let bytes_max = limits.bytes_max.min(u64::from(u32::MAX));
    at_most("bytes", body_bytes as u64, bytes_max)?;
    if body_bytes >= COMPRESS_BYTES_MIN
        && let Some(frame) = compressed(&body[HEADER_BYTES..])
    {
        return Ok(frame);
    }
    body[..HEADER_BYTES].copy_from_slice(&[VERSION, PLAIN]);
    Ok(body)
}

/// Bytes before an uncompressed body.
pub(crate) const HEADER_BYTES: usize = 2;
const LENGTH_BYTES: usize = 4;

/// The compressed frame when it is smaller by a sixteenth or more: less does not pay for decompressing it.
fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let start = HEADER_BYTES + LENGTH_BYTES;
    let mut frame = vec![0; start + zstd::zstd_safe::compress_bound(body.len())];
    let bytes = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(ZSTD_LEVEL).ok();
        }
        slot.as_mut()?.compress_to_buffer(body, &mut frame[start..]).ok()
    })?;
    if start + bytes > body.len() - body.len() / 16 {
        return None;
    }
    frame[..HEADER_BYTES].copy_from_slice(&[VERSION, ZSTD]);
    frame[HEADER_BYTES..start].copy_from_slice(&u32::try_from(body.len()).ok()?.to_le_bytes());
    frame.truncate(start + bytes);
    frame.shrink_to_fit();
    Some(frame)
}

/// The body of a frame.
pub(crate) fn unwrap(frame: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>, FrameError> {
    let (header, rest) = frame
        .split_at_checked(HEADER_BYTES)
        .ok_or(FrameError::Malformed { what: "shorter than its header" })?;
    match *header {
        [VERSION, PLAIN] => {
            at_most("bytes", rest.len() as u64, limits.bytes_max)?;
            Ok(Cow::Borrowed(rest))
        }
        [VERSION, ZSTD] => decompressed(rest, limits).map(Cow::Owned),
        [VERSION, _] => Err(FrameError::Malformed { what: "unknown compression" }),
        [0, _] => Err(FrameError::Malformed { what: "version 0" }),
        [found, _] => Err(FrameError::NewerVersion { found, known: VERSION }),
        _ => Err(FrameError::Malformed { what: "shorter than its header" }),
    }
}

fn decompressed(rest: &[u8], limits: Limits) -> Result<Vec<u8>, FrameError> {
    let (length, compressed) =
        rest.split_first_chunk::<LENGTH_BYTES>().ok_or(FrameError::Malformed { what: "no length" })?;
    let body_bytes = u32::from_le_bytes(*length);
    at_most("bytes", u64::from(body_bytes), limits.bytes_max)?;
    let broken = FrameError::Malformed { what: "compressed body is broken" };
    let body = DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Decompressor::new().ok();
        }
        slot.as_mut()?.decompress(compressed, body_bytes as usize).ok()
    });
    body.filter(|body| body.len() == body_bytes as usize).ok_or(broken)
}
