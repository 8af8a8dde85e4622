//! Blocks of large states: `<number>.blocks`, one behind the other, each compressed by itself.
//!
//! A state is cut where its own bytes say so (FastCDC, Xia et al., USENIX ATC 2016), so that rows that go at its front and
//! come at its end move no other cut. A block that lies in a file already is not written again. Files are put
//! together as they age: each holds more that is needed than all newer ones, so there are few of them, and what is kept
//! is written again only as often as the state doubles.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fastcdc::v2020::FastCDC;
use sha2::{Digest as _, Sha256};

use super::file::{StoredState, damaged};

/// States up to this size stand in the file of the snapshot.
const WHOLE_MAX: usize = 64 << 10;
const BLOCK_MIN: usize = 16 << 10;
const BLOCK_MEAN: usize = 64 << 10;
const BLOCK_MAX: usize = 256 << 10;

/// What a block is known by. Devices choose what stands in states, so that nobody may be able to make two blocks alike.
type Digest = [u8; 32];

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) digest: Digest,
    /// The number of the file.
    pub(super) file: u64,
    pub(super) at: u64,
    pub(super) packed: u32,
}

pub(super) const PLACE_BYTES: usize = 32 + 8 + 8 + 4;

impl Block {
    pub(super) fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let mut bytes = [0; PLACE_BYTES];
        bytes[..32].copy_from_slice(&self.digest);
        bytes[32..40].copy_from_slice(&self.file.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.at.to_le_bytes());
        bytes[48..].copy_from_slice(&self.packed.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; PLACE_BYTES]) -> Block {
        let number = |range: Range<usize>| {
            bytes[range].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[..32]);
        Block { digest, file: number(32..40), at: number(40..48), packed: number(48..52) as u32 }
    }

    /// The bytes of the block, if they are those that were written.
    pub(super) fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let mut packed = vec![0; self.packed as usize];
        file.read_exact_at(&mut packed, self.at)?;
        let bytes = zstd::bulk::decompress(&packed, BLOCK_MAX).ok();
        let is_it = |bytes: &Vec<u8>| Digest::from(Sha256::digest(bytes)) == self.digest;
        bytes.filter(is_it).ok_or_else(|| damaged("a block is not what was written"))
    }
}

/// The states of a snapshot, cut, and which of the blocks have to be written.
pub(super) struct Layout<'a> {
    states: Vec<Cut<'a>>,
    /// Blocks that stay where they are.
    kept: HashMap<Digest, Block>,
}

enum Cut<'a> {
    Whole(&'a [u8]),
    Pieces(Vec<(Digest, &'a [u8])>),
}

impl<'a> Layout<'a> {
    /// `known` are the blocks of the snapshot before, `length` the bytes of a file of blocks.
    pub(super) fn new<'b>(
        states: &'a [Vec<u8>],
        known: impl Iterator<Item = &'b Block>,
        length: impl Fn(u64) -> u64,
    ) -> Layout<'a> {
        let states: Vec<Cut<'_>> = states.iter().map(|state| cut(state)).collect();
        let mut kept: HashMap<Digest, Block> = known.map(|block| (block.digest, *block)).collect();
        let mut new_bytes = 0;
        let mut needed: HashMap<Digest, Block> = HashMap::new();
        for (digest, piece) in pieces(&states) {
            match kept.remove(&digest) {
                Some(block) => drop(needed.insert(digest, block)),
                // A piece that is there twice counts twice; which files are put together is a matter of taste.
                None if !needed.contains_key(&digest) => new_bytes += piece.len() as u64,
                None => {}
            }
        }
        let written_again = to_write_again(needed.values(), new_bytes, length);
        needed.retain(|_, block| !written_again.contains(&block.file));
        Layout { states, kept: needed }
    }

    /// Writes the blocks that are new to a file with this number, if there are any; returns how many bytes that were.
    pub(super) fn write(&mut self, number: u64, path: &Path) -> io::Result<u64> {
        let mut file: Option<File> = None;
        let mut at = 0;
        for (digest, piece) in pieces(&self.states) {
            if self.kept.contains_key(&digest) {
                continue;
            }
            let packed = zstd::bulk::compress(piece, 1)?;
            let open = match &mut file {
                Some(file) => file,
                None => file.insert(File::create(path)?),
            };
            open.write_all(&packed)?;
            self.kept.insert(digest, Block { digest, file: number, at, packed: packed.len() as u32 });
            at += packed.len() as u64;
        }
        if let Some(file) = &file {
            file.sync_all()?;
        }
        Ok(at)
    }

    /// The states as the file of the snapshot holds them, after the blocks have been written.
    pub(super) fn stored(&self) -> Vec<StoredState> {
        let stored = |cut: &Cut<'_>| match cut {
            Cut::Whole(bytes) => StoredState::Whole(bytes.to_vec()),
            Cut::Pieces(pieces) => {
                StoredState::InBlocks(pieces.iter().map(|(digest, _)| self.kept[digest]).collect())
            }
        };
        self.states.iter().map(stored).collect()
    }
}

fn pieces<'a>(states: &[Cut<'a>]) -> impl Iterator<Item = (Digest, &'a [u8])> {
    states.iter().flat_map(|state| match state {
        Cut::Whole(_) => [].iter().copied(),
        Cut::Pieces(pieces) => pieces.iter().copied(),
    })
}

fn cut(state: &[u8]) -> Cut<'_> {
    if state.len() <= WHOLE_MAX {
        return Cut::Whole(state);
    }
    let chunks = FastCDC::new(state, BLOCK_MIN, BLOCK_MEAN, BLOCK_MAX);
    Cut::Pieces(
        chunks
            .map(|chunk| &state[chunk.offset..chunk.offset + chunk.length])
            .map(|piece| (Digest::from(Sha256::digest(piece)), piece))
            .collect(),
    )
}

/// The files whose blocks are written again, into the new one: those that hold no more of use than all newer ones, and those
/// of which most is of no use.
fn to_write_again<'b>(
    needed: impl Iterator<Item = &'b Block>,
    new_bytes: u64,
    length: impl Fn(u64) -> u64,
) -> Vec<u64> {
    let mut used: BTreeMap<u64, u64> = BTreeMap::new();
    for block in needed {
        *used.entry(block.file).or_default() += u64::from(block.packed);
    }
    let mut newer = new_bytes;
    let mut again = Vec::new();
    for (file, used) in used.into_iter().rev() {
        if used <= newer || used * 2 < length(file) {
            again.push(file);
        }
        newer += used;
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(file: u64, packed: u32) -> Block {
        Block { digest: [file as u8; 32], file, at: 0, packed }
    }

    #[test]
    fn files_are_put_together_before_they_are_many_or_mostly_empty() {
        let blocks = [block(1, 1000), block(2, 100), block(3, 10)];
        let again = |new_bytes, length: fn(u64) -> u64| to_write_again(blocks.iter(), new_bytes, length);
        assert_eq!(again(5, |_| 0), [0; 0]);
        assert_eq!(again(10, |_| 0), [3]);
        assert_eq!(again(95, |_| 0), [3, 2]);
        assert_eq!(again(2000, |_| 0), [3, 2, 1]);
        assert_eq!(again(0, |file| if file == 1 { 2001 } else { 0 }), [1]);
    }

    #[test]
    fn a_damaged_block_is_not_read_as_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.blocks");
        let states = [(0..70_000_u32).map(|at| (at / 100) as u8).collect::<Vec<u8>>()];
        let mut layout = Layout::new(&states, [].iter(), |_| 0);
        assert!(layout.write(1, &path).unwrap() > 0);
        let [StoredState::InBlocks(blocks)] = &layout.stored()[..] else { panic!("it is large") };
        let read = || -> io::Result<Vec<u8>> {
            let file = File::open(&path)?;
            let pieces: io::Result<Vec<Vec<u8>>> = blocks.iter().map(|block| block.read(&file)).collect();
            Ok(pieces?.concat())
        };
        assert_eq!(read().unwrap(), states[0]);
        let bytes = std::fs::read(&path).unwrap();
        let mut noticed = 0;
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&path, &damaged).unwrap();
            // A few bits of a frame of zstd mean nothing.
            match read() {
                Ok(read) => assert_eq!(read, states[0], "byte {at}"),
                Err(_) => noticed += 1,
            }
        }
        assert!(noticed > bytes.len() * 9 / 10, "{noticed} of {}", bytes.len());
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let block = Block { digest: [9; 32], file: u64::MAX - 1, at: 1 << 33 | 5, packed: 123_456 };
        assert_eq!(Block::from_bytes(&block.to_bytes()), block);
    }
}
