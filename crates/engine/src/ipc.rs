//! Operator state as bytes: numbered batches in Arrow's IPC format, one after the other.
//!
//! ```text
//! │ count u32 │ number i64 │ length u32 │ IPC stream │ number i64 │ length u32 │ …
//! ```
//! Little-endian. Compression and checksums belong to the snapshot file around it.

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use crate::RunError;

const DAMAGED: RunError = RunError::State { what: "the bytes are cut short" };

pub(crate) fn write_numbered(parts: &[(i64, RecordBatch)]) -> Result<Vec<u8>, RunError> {
    let mut bytes = (parts.len() as u32).to_le_bytes().to_vec();
    for (number, batch) in parts {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(batch)?;
        let encoded = writer.into_inner()?;
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&encoded);
    }
    Ok(bytes)
}

pub(crate) fn read_numbered(bytes: &[u8]) -> Result<Vec<(i64, RecordBatch)>, RunError> {
    let mut rest = bytes;
    let count = u32::from_le_bytes(cut(&mut rest)?);
    let mut parts = Vec::new();
    for _ in 0..count {
        let number = i64::from_le_bytes(cut(&mut rest)?);
        let length = u32::from_le_bytes(cut(&mut rest)?) as usize;
        let (encoded, after) = rest.split_at_checked(length).ok_or(DAMAGED)?;
        rest = after;
        let mut reader = StreamReader::try_new(encoded, None)?;
        parts.push((number, reader.next().ok_or(DAMAGED)??));
    }
    Ok(parts)
}

fn cut<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RunError> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(DAMAGED)?;
    *rest = after;
    Ok(*head)
}
