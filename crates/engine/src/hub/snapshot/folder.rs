//! The snapshots of a pipeline on disk.
//!
//! A file is written beside its name, synced and renamed, so that a name always holds a whole file; should one be
//! damaged all the same, the one before is used. Number 0 is the beginning of the pipeline and is never removed.
//! Blocks are synced before the snapshot that names them has its name, and go after the last one that did.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Snapshot;
use super::blocks::Layout;
use super::file::{Contents, StoredState};
use crate::hub::EngineError;

/// The newest, and the one before in case it is damaged.
const KEPT: usize = 2;

/// The snapshots of one pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The offset from which the log must be kept, so that the snapshot before this one can be used.
    pub(crate) keep_from: u64,
    /// Bytes that went to the disk.
    pub(crate) bytes: u64,
}

/// The numbers of the files, in their order.
#[derive(Default)]
struct Files {
    snapshots: Vec<u64>,
    blocks: Vec<u64>,
}

impl Folder {
    pub(crate) fn new(data_dir: &Path, pipeline: u64) -> Folder {
        Folder { path: data_dir.join("snapshots").join(pipeline.to_string()) }
    }

    /// Writes the next snapshot and removes those that nobody needs.
    pub(crate) fn write(&self, snapshot: &Snapshot) -> Result<Written, EngineError> {
        let numbers = self.files()?.snapshots;
        let number = numbers.last().map_or(0, |last| last + 1);
        let bytes = self.write_as(number, snapshot)?;
        let later: Vec<u64> = numbers.into_iter().filter(|number| *number > 0).collect();
        for old in &later[..later.len().saturating_sub(KEPT - 1)] {
            // One that stays behind costs space, nothing else, and is removed the next time.
            let _ = fs::remove_file(self.file(*old));
        }
        self.remove_unused_blocks()?;
        let oldest = later.len().checked_sub(KEPT - 1).and_then(|at| self.read(later[at]).ok());
        let offset = snapshot.header.offset;
        Ok(Written { keep_from: oldest.map_or(offset, |oldest| oldest.header.offset.min(offset)), bytes })
    }

    /// Writes down with what another version would begin, beside the snapshots of the version that is: which of the two
    /// counts is decided by the version that meta names.
    pub(crate) fn prepare(&self, snapshot: &Snapshot, present: u32) -> Result<(), EngineError> {
        self.keep_only(present)?;
        let number = self.files()?.snapshots.last().map_or(1, |last| last + 1);
        self.write_as(number, snapshot).map(drop)
    }

    /// The version of this snapshot has begun; those of others are of no use any more.
    pub(crate) fn begin(&self, snapshot: &Snapshot) -> Result<(), EngineError> {
        self.write_as(0, snapshot)?;
        self.keep_only(snapshot.header.pipeline_version)
    }

    /// Removes the snapshots of other versions: of earlier ones, and of one that was prepared and never began.
    pub(crate) fn keep_only(&self, version: u32) -> Result<(), EngineError> {
        for number in self.files()?.snapshots {
            if self.read(number).is_ok_and(|found| found.header.pipeline_version != version) {
                let path = self.file(number);
                fs::remove_file(&path).map_err(|source| EngineError::Snapshot {
                    doing: "remove",
                    path,
                    source,
                })?;
            }
        }
        self.remove_unused_blocks()
    }

    /// The snapshots of a version that can be read, the newest first, and why others could not. These are set aside:
    /// whoever writes the next one would share what is damaged.
    pub(crate) fn candidates(&self, version: u32) -> Result<(Vec<Snapshot>, Vec<String>), EngineError> {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for number in self.files()?.snapshots.into_iter().rev() {
            let snapshot = self.read(number).and_then(|contents| {
                let counts = contents.header.pipeline_version == version;
                counts.then(|| self.load(contents)).transpose()
            });
            match snapshot {
                Ok(snapshot) => found.extend(snapshot),
                Err(error) => {
                    damaged.push(format!("{}: {error}", self.file(number).display()));
                    self.set_aside(number, &error);
                }
            }
        }
        Ok((found, damaged))
    }

    /// The offset from which the log must be kept, so that the snapshot before the newest can be used.
    pub(crate) fn oldest_needed(&self) -> Result<Option<u64>, EngineError> {
        let numbers = self.files()?.snapshots;
        let later: Vec<u64> = numbers.iter().copied().filter(|number| *number > 0).collect();
        let needed = if later.is_empty() { &numbers[..] } else { &later[later.len().saturating_sub(KEPT)..] };
        Ok(needed.iter().filter_map(|number| self.read(*number).ok()).map(|found| found.header.offset).min())
    }

    pub(crate) fn remove(&self) -> Result<(), EngineError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(EngineError::Snapshot { doing: "remove", path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }

    fn write_as(&self, number: u64, snapshot: &Snapshot) -> Result<u64, EngineError> {
        let files = self.files()?;
        let path = self.file(number);
        let draft = path.with_extension("tmp");
        let written = (|| {
            fs::create_dir_all(&self.path)?;
            // One that cannot be read is none to share with.
            let before = files.snapshots.last().and_then(|last| self.read(*last).ok());
            let known =
                before.iter().flat_map(Contents::blocks).filter(|block| files.blocks.contains(&block.file));
            let length = |file: u64| fs::metadata(self.blocks_file(file)).map_or(0, |found| found.len());
            let mut layout = Layout::new(&snapshot.operators, known, length);
            let next = files.blocks.last().map_or(1, |last| last + 1);
            let blocks = layout.write(next, &self.blocks_file(next))?;
            let contents = Contents { header: snapshot.header.clone(), states: layout.stored() };
            let bytes = contents.encode()?;
            let mut file = File::create(&draft)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()?;
            Ok(blocks + bytes.len() as u64)
        })();
        written.map_err(|source| EngineError::Snapshot { doing: "write", path, source })
    }

    fn read(&self, number: u64) -> io::Result<Contents> {
        Contents::decode(&fs::read(self.file(number))?)
    }

    fn load(&self, contents: Contents) -> io::Result<Snapshot> {
        let mut open: HashMap<u64, File> = HashMap::new();
        let mut operators = Vec::with_capacity(contents.states.len());
        for state in contents.states {
            operators.push(match state {
                StoredState::Whole(bytes) => bytes,
                StoredState::InBlocks(blocks) => {
                    let mut bytes = Vec::new();
                    for block in blocks {
                        let file = match open.entry(block.file) {
                            Entry::Occupied(file) => file.into_mut(),
                            Entry::Vacant(place) => place.insert(File::open(self.blocks_file(block.file))?),
                        };
                        bytes.extend(block.read(file)?);
                    }
                    bytes
                }
            });
        }
        Ok(Snapshot { header: contents.header, operators })
    }

    /// Removes files of blocks that no snapshot names. A snapshot that cannot be read names none that could be read.
    fn remove_unused_blocks(&self) -> Result<(), EngineError> {
        let files = self.files()?;
        if files.blocks.is_empty() {
            return Ok(());
        }
        let snapshots = files.snapshots.iter().filter_map(|number| self.read(*number).ok());
        let named: HashSet<u64> =
            snapshots.flat_map(|found| found.blocks().map(|block| block.file).collect::<Vec<_>>()).collect();
        for unused in files.blocks.iter().filter(|file| !named.contains(file)) {
            // As above.
            let _ = fs::remove_file(self.blocks_file(*unused));
        }
        Ok(())
    }

    /// Not for what may pass, such as too many open files.
    fn set_aside(&self, number: u64, error: &io::Error) {
        use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        if matches!(error.kind(), InvalidData | NotFound | UnexpectedEof) {
            // Stays where it is at worst, and is found damaged again.
            let _ = fs::rename(self.file(number), self.file(number).with_extension("damaged"));
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number}.snap"))
    }

    fn blocks_file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number}.blocks"))
    }

    fn files(&self) -> Result<Files, EngineError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::default()),
            Err(source) => {
                return Err(EngineError::Snapshot { doing: "list", path: self.path.clone(), source });
            }
        };
        let mut files = Files::default();
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let Some((number, kind)) = name.split_once('.') else { continue };
            match (number.parse(), kind) {
                (Ok(number), "snap") => files.snapshots.push(number),
                (Ok(number), "blocks") => files.blocks.push(number),
                _ => {}
            }
        }
        files.snapshots.sort_unstable();
        files.blocks.sort_unstable();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Header;
    use super::super::tests::snapshot;
    use super::*;

    #[test]
    fn a_damaged_snapshot_falls_back_to_the_one_before() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        folder.begin(&snapshot(0)).unwrap();
        for offset in [10, 20, 30] {
            folder.write(&snapshot(offset)).unwrap();
        }
        let offsets = |folder: &Folder| -> Vec<u64> {
            folder.candidates(1).unwrap().0.iter().map(|snapshot| snapshot.header.offset).collect()
        };
        assert_eq!(offsets(&folder), [30, 20, 0]);
        let mut bytes = fs::read(folder.file(3)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(folder.file(3), &bytes).unwrap();
        let (found, why) = folder.candidates(1).unwrap();
        assert_eq!((found.len(), why.len()), (2, 1));
        assert_eq!(offsets(&folder), [20, 0]);
        assert_eq!(folder.candidates(2).unwrap().0, []);
    }

    #[test]
    fn the_log_is_kept_from_the_older_snapshot_on() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        folder.begin(&snapshot(0)).unwrap();
        assert_eq!(folder.write(&snapshot(10)).unwrap().keep_from, 10);
        assert_eq!(folder.write(&snapshot(20)).unwrap().keep_from, 10);
        assert_eq!(folder.write(&snapshot(30)).unwrap().keep_from, 20);
    }

    fn of_version(pipeline_version: u32, offset: u64) -> Snapshot {
        let snapshot = snapshot(offset);
        Snapshot { header: Header { pipeline_version, ..snapshot.header }, ..snapshot }
    }

    /// A hub that is killed between any two steps of a change finds, at its next start, snapshots of the version that
    /// meta names, and those alone.
    #[test]
    fn each_step_of_a_change_leaves_snapshots_for_the_version_that_counts() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        let offsets = |version: u32| -> Vec<u64> {
            let found = folder.candidates(version).unwrap().0;
            found.iter().map(|snapshot| snapshot.header.offset).collect()
        };
        folder.begin(&of_version(1, 0)).unwrap();
        folder.write(&of_version(1, 10)).unwrap();
        // Prepared, and killed before meta names version 2: version 1 goes on.
        folder.prepare(&of_version(2, 10), 1).unwrap();
        folder.keep_only(1).unwrap();
        assert_eq!((offsets(1), offsets(2)), (vec![10, 0], vec![]));
        folder.write(&of_version(1, 20)).unwrap();
        // Prepared twice, because the first attempt failed: what was prepared first does not count.
        folder.prepare(&of_version(2, 20), 1).unwrap();
        folder.prepare(&of_version(2, 21), 1).unwrap();
        // Meta names version 2, and killed before version 2 has begun.
        assert_eq!((offsets(1), offsets(2)), (vec![20, 10, 0], vec![21]));
        // Killed between the two halves of the beginning.
        folder.write_as(0, &of_version(2, 21)).unwrap();
        assert_eq!((offsets(1), offsets(2)), (vec![20, 10], vec![21, 21]));
        folder.begin(&of_version(2, 21)).unwrap();
        assert_eq!((offsets(1), offsets(2)), (vec![], vec![21, 21]));
        assert_eq!(folder.oldest_needed().unwrap(), Some(21));
    }

    /// Numbers that follow from a seed: nothing in them is like anything else.
    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        (0..bytes.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(bytes).collect()
    }

    fn with_state(offset: u64, state: &[u8]) -> Snapshot {
        Snapshot { operators: vec![vec![1, 2, 3], state.to_vec()], ..snapshot(offset) }
    }

    fn bytes_on_disk(folder: &Folder) -> u64 {
        fs::read_dir(&folder.path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn what_a_large_state_shares_with_the_one_before_is_not_written_again() {
        const STATE: usize = 8 << 20;
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        let mut state = noise(1, STATE);
        folder.begin(&with_state(0, &[])).unwrap();
        let whole = folder.write(&with_state(1, &state)).unwrap().bytes;
        assert!(whole > STATE as u64);
        // Rows go at the front and come at the end.
        state.drain(..10_000);
        state.extend(noise(2, 20_000));
        let expected = with_state(2, &state);
        let written = folder.write(&expected).unwrap().bytes;
        assert!(written < 4 * BLOCKS_AT_AN_EDGE, "{written} bytes for 20,000 new ones");
        assert_eq!(folder.candidates(1).unwrap().0[0], expected);
    }

    /// At each end a block that was there changes, and the largest has so many bytes.
    const BLOCKS_AT_AN_EDGE: u64 = 256 << 10;

    #[test]
    fn states_that_change_for_long_are_read_as_they_were_and_leave_little_behind() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        folder.begin(&with_state(0, &[])).unwrap();
        let mut state = noise(0, 1 << 20);
        let mut before = None;
        for round in 1..=60_usize {
            let seed = round as u64;
            match round % 5 {
                0 => drop(state.drain(..state.len() / 3)),
                1 => state.splice(500_000..510_000, noise(seed, 3_000)).for_each(drop),
                2 => state[300_000..300_100].fill(round as u8),
                _ => state.extend(noise(seed, 200_000)),
            }
            let snapshot = with_state(seed, &state);
            folder.write(&snapshot).unwrap();
            let (found, damaged) = folder.candidates(1).unwrap();
            assert_eq!(damaged, [""; 0]);
            assert_eq!(found[0], snapshot, "round {round}");
            // The one before is whole too.
            assert!(before.replace(snapshot).is_none_or(|before| found[1] == before), "round {round}");
            let files = folder.files().unwrap();
            assert!(files.blocks.len() < 12, "{} files in round {round}", files.blocks.len());
            assert!(bytes_on_disk(&folder) < 6 * state.len() as u64, "round {round}");
        }
        // And nothing is left of a state that has become small.
        folder.write(&with_state(100, &[])).unwrap();
        folder.write(&with_state(101, &[])).unwrap();
        assert_eq!(folder.files().unwrap().blocks, [0; 0]);
    }

    #[test]
    fn what_is_damaged_is_shared_by_nobody() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        let state = noise(1, 200_000);
        folder.begin(&with_state(0, &[])).unwrap();
        folder.write(&with_state(1, &noise(2, 100_000))).unwrap();
        folder.write(&with_state(2, &state)).unwrap();
        let newest = folder.blocks_file(*folder.files().unwrap().blocks.last().unwrap());
        let mut bytes = fs::read(&newest).unwrap();
        bytes[100_000] ^= 1;
        fs::write(&newest, &bytes).unwrap();
        let (found, damaged) = folder.candidates(1).unwrap();
        let offsets: Vec<u64> = found.iter().map(|snapshot| snapshot.header.offset).collect();
        assert_eq!((offsets, damaged.len()), (vec![1, 0], 1));
        folder.write(&with_state(3, &state)).unwrap();
        assert_eq!(folder.candidates(1).unwrap().0[0], with_state(3, &state));
    }

    /// A version that begins takes number 0 anew while the one before it still has its blocks.
    #[test]
    fn a_change_of_version_keeps_the_blocks_that_it_goes_on_with() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        let state = noise(1, 300_000);
        folder.begin(&with_state(0, &state)).unwrap();
        folder.write(&with_state(1, &state)).unwrap();
        let of_next = |offset: u64| {
            let snapshot = with_state(offset, &state);
            Snapshot { header: Header { pipeline_version: 2, ..snapshot.header }, ..snapshot }
        };
        folder.prepare(&of_next(1), 1).unwrap();
        folder.begin(&of_next(1)).unwrap();
        let (found, damaged) = folder.candidates(2).unwrap();
        assert_eq!((found, damaged), (vec![of_next(1), of_next(1)], vec![]));
        assert_eq!(folder.files().unwrap().blocks.len(), 1);
    }
}
