//! A look over a body before it is parsed: how many columns and values it holds. Parsing allocates up to 100 times the
//! bytes of a hostile body (an empty column is two bytes on the wire); after this look it cannot.

use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::{FrameError, Limits, at_most};

const ROWS: u32 = 1;
const COLUMNS: u32 = 2;
const DELTAS: u32 = 6;
const DOUBLES: u32 = 8;
const LENGTHS: u32 = 10;
const IDS: u32 = 11;

/// Refuses a body whose columns do not fit the limits or that lists more values than it has rows.
pub(crate) fn check(body: &[u8], limits: Limits) -> Result<(), FrameError> {
    let found = scan(body).map_err(|_| FrameError::Malformed { what: "body is not a message" })?;
    limits.check_shape(found.rows, found.columns)?;
    at_most("values", found.values_max, found.rows)
}

#[derive(Default)]
struct Found {
    rows: u64,
    columns: u64,
    /// Values in the field that lists most.
    values_max: u64,
}

fn scan(mut body: &[u8]) -> Result<Found, DecodeError> {
    let mut found = Found::default();
    while !body.is_empty() {
        match decode_key(&mut body)? {
            (ROWS, WireType::Varint) => found.rows = decode_varint(&mut body)?,
            (COLUMNS, WireType::LengthDelimited) => {
                found.columns += 1;
                let column = take_field(&mut body)?;
                found.values_max = found.values_max.max(values_max(column)?);
            }
            (tag, wire_type) => skip_field(wire_type, tag, &mut body, DecodeContext::default())?,
        }
    }
    Ok(found)
}

/// Values in the field of a column that lists most, packed or one by one.
fn values_max(mut column: &[u8]) -> Result<u64, DecodeError> {
    let mut counts = [0_u64; 4];
    while !column.is_empty() {
        let (tag, wire_type) = decode_key(&mut column)?;
        let counted = [DELTAS, DOUBLES, LENGTHS, IDS].iter().position(|field| *field == tag);
        match (counted, wire_type) {
            (Some(field), WireType::LengthDelimited) => {
                let packed = take_field(&mut column)?;
                counts[field] += if tag == DOUBLES {
                    packed.len() as u64 / 8
                } else {
                    // Each varint ends with the one byte whose highest bit is 0.
                    packed.iter().map(|byte| u64::from(*byte < 0x80)).sum()
                };
            }
            _ => {
                skip_field(wire_type, tag, &mut column, DecodeContext::default())?;
                counts[counted.unwrap_or_default()] += u64::from(counted.is_some());
            }
        }
    }
    Ok(counts.into_iter().max().unwrap_or_default())
}

/// The bytes of a length-delimited field.
fn take_field<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let bytes = decode_varint(rest)?;
    // An impossible length is found by the parser too; here it only must not split out of bounds.
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(rest.len());
    let (field, after) = rest.split_at(bytes);
    *rest = after;
    Ok(field)
}
