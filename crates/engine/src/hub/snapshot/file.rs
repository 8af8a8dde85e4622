//! The file of a snapshot: its header, small states, and of large ones where their blocks lie.
//!
//! ```text
//! │ "SHSN" │ format u32 │ CRC32C of what follows u32 │ zstd of: header length u32 │ header JSON │ (length u32 │ state)… │
//! a state:  │ 0 │ its bytes │   or   │ 1 │ (SHA-256 │ number of the file of blocks u64 │ at u64 │ packed length u32)… │
//! ```
//! Little-endian.

use std::io;

use super::Header;
use super::blocks::{Block, PLACE_BYTES};

const MAGIC: &[u8; 4] = b"SHSN";
const FORMAT: u32 = 3;
const HEADER_BYTES: usize = 12;
/// What is larger is damage: large states lie in blocks.
const BYTES_MAX: u64 = 1 << 30;

const WHOLE: u8 = 0;
const IN_BLOCKS: u8 = 1;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) header: Header,
    pub(super) states: Vec<StoredState>,
}

/// The state of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredState {
    Whole(Vec<u8>),
    InBlocks(Vec<Block>),
}

impl Contents {
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.states.iter().flat_map(|state| match state {
            StoredState::Whole(_) => [].iter(),
            StoredState::InBlocks(blocks) => blocks.iter(),
        })
    }

    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        put(&mut body, &[&serde_json::to_vec(&self.header)?]);
        for state in &self.states {
            match state {
                StoredState::Whole(bytes) => put(&mut body, &[&[WHOLE], bytes]),
                StoredState::InBlocks(blocks) => {
                    let places: Vec<u8> = blocks.iter().flat_map(|block| block.to_bytes()).collect();
                    put(&mut body, &[&[IN_BLOCKS], &places]);
                }
            }
        }
        let packed = zstd::bulk::compress(&body, 1)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&packed).to_le_bytes());
        bytes.extend_from_slice(&packed);
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> io::Result<Contents> {
        let (head, packed) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("cut short"))?;
        if &head[..4] != MAGIC || head[4..8] != FORMAT.to_le_bytes() {
            return Err(damaged("not a snapshot of this version"));
        }
        if head[8..] != crc32c::crc32c(packed).to_le_bytes() {
            return Err(damaged("the checksum does not match"));
        }
        let body = unpack(packed)?;
        let mut rest = body.as_slice();
        let header = take(&mut rest).ok_or_else(|| damaged("there is no header"))?;
        let header = serde_json::from_slice(header)?;
        let mut states = Vec::new();
        while !rest.is_empty() {
            let part = take(&mut rest).ok_or_else(|| damaged("a state is cut short"))?;
            states.push(state(part).ok_or_else(|| damaged("a state is none"))?);
        }
        Ok(Contents { header, states })
    }
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn state(part: &[u8]) -> Option<StoredState> {
    match part.split_first()? {
        (&WHOLE, bytes) => Some(StoredState::Whole(bytes.to_vec())),
        (&IN_BLOCKS, places) => {
            let (places, rest) = places.as_chunks::<PLACE_BYTES>();
            rest.is_empty().then(|| StoredState::InBlocks(places.iter().map(Block::from_bytes).collect()))
        }
        _ => None,
    }
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut reader = io::Read::take(zstd::stream::read::Decoder::new(packed)?, BYTES_MAX);
    io::Read::read_to_end(&mut reader, &mut body)?;
    Ok(body)
}

fn put(body: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    body.extend_from_slice(&(length as u32).to_le_bytes());
    parts.iter().for_each(|part| body.extend_from_slice(part));
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::super::tests::snapshot;
    use super::*;

    #[test]
    fn every_damaged_byte_is_noticed() {
        let block = Block { digest: [7; 32], file: 3, at: 1 << 40, packed: 9 };
        let states = vec![
            StoredState::Whole(vec![1, 2, 3]),
            StoredState::InBlocks(vec![block, Block { at: 0, ..block }]),
            StoredState::Whole(vec![]),
        ];
        let contents = Contents { header: snapshot(5).header, states };
        let bytes = contents.encode().unwrap();
        assert_eq!(Contents::decode(&bytes).unwrap(), contents);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(Contents::decode(&damaged).is_err(), "byte {at}");
            assert!(Contents::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
