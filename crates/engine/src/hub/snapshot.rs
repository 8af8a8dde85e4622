//! Snapshots of running pipelines: `DATA/snapshots/<pipeline id>/<number>.snap`.
//!
//! ```text
//! │ "SHSN" │ format u32 │ CRC32C of what follows u32 │ zstd of: header length u32 │ header JSON │ (length u32 │ state)… │
//! ```
//! A file is written beside its name, synced and renamed, so that a name always holds a whole file; should one be
//! damaged all the same, the one before is used. Number 0 is the beginning of the pipeline and is never removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::EngineError;
use super::task::Trail;
use crate::pipeline::State;

const MAGIC: &[u8; 4] = b"SHSN";
const FORMAT: u32 = 2;
const HEADER_BYTES: usize = 12;
/// The newest, and the one before in case it is damaged.
const KEPT: usize = 2;
/// States beyond this are damage, not state.
const BYTES_MAX: usize = 4 << 30;

/// Everything that a pipeline needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) header: Header,
    pub(crate) operators: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Of the statement; the state of another version is of no use.
    pub(crate) pipeline_version: u32,
    /// The version of each source's schema that the statement was planned for.
    pub(crate) schema_versions: Vec<u32>,
    /// The first record that has not been dealt with.
    pub(crate) offset: u64,
    /// The largest event time of each source so far.
    pub(crate) event_times: Vec<i64>,
    pub(crate) rows_in: u64,
    /// Rows given so far, which is the number of the next one.
    pub(crate) rows_out: u64,
    pub(crate) late: u64,
    /// Rows that it could not deal with. None before this was written down.
    #[serde(default)]
    pub(crate) broken: u64,
    /// What each operator with a state computes, in the order of the states. Empty before this was written down.
    #[serde(default)]
    pub(crate) fingerprints: Vec<String>,
    /// How far event time had come where before `offset`. Empty before this was written down.
    #[serde(default)]
    pub(crate) trail: Trail,
}

impl Snapshot {
    pub(crate) fn state(&self) -> State {
        State { event_times: self.header.event_times.clone(), operators: self.operators.clone() }
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let header = serde_json::to_vec(&self.header)?;
        let mut body = Vec::new();
        put(&mut body, &header);
        for operator in &self.operators {
            put(&mut body, operator);
        }
        let packed = zstd::bulk::compress(&body, 1)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&packed).to_le_bytes());
        bytes.extend_from_slice(&packed);
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> io::Result<Snapshot> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let (head, packed) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("cut short"))?;
        if &head[..4] != MAGIC || head[4..8] != FORMAT.to_le_bytes() {
            return Err(damaged("not a snapshot of this version"));
        }
        if head[8..] != crc32c::crc32c(packed).to_le_bytes() {
            return Err(damaged("the checksum does not match"));
        }
        let body = unpack(packed)?;
        let mut rest = body.as_slice();
        let mut parts = Vec::new();
        while !rest.is_empty() {
            parts.push(take(&mut rest).ok_or_else(|| damaged("a part is cut short"))?.to_vec());
        }
        let mut parts = parts.into_iter();
        let header = parts.next().ok_or_else(|| damaged("there is no header"))?;
        Ok(Snapshot { header: serde_json::from_slice(&header)?, operators: parts.collect() })
    }
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut reader = io::Read::take(zstd::stream::read::Decoder::new(packed)?, BYTES_MAX as u64);
    io::Read::read_to_end(&mut reader, &mut body)?;
    Ok(body)
}

fn put(body: &mut Vec<u8>, part: &[u8]) {
    body.extend_from_slice(&(part.len() as u32).to_le_bytes());
    body.extend_from_slice(part);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(part)
}

/// The snapshots of one pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(data_dir: &Path, pipeline: u64) -> Folder {
        Folder { path: data_dir.join("snapshots").join(pipeline.to_string()) }
    }

    /// Writes the next snapshot and removes those that nobody needs. Returns the offset from which the log must be kept.
    pub(crate) fn write(&self, snapshot: &Snapshot) -> Result<u64, EngineError> {
        let numbers = self.numbers()?;
        let number = numbers.last().map_or(0, |last| last + 1);
        self.write_as(number, snapshot)?;
        let later: Vec<u64> = numbers.into_iter().filter(|number| *number > 0).collect();
        for old in &later[..later.len().saturating_sub(KEPT - 1)] {
            // One that stays behind costs space, nothing else, and is removed the next time.
            let _ = fs::remove_file(self.file(*old));
        }
        let oldest = later.len().checked_sub(KEPT - 1).and_then(|at| self.read(later[at]).ok());
        Ok(oldest.map_or(snapshot.header.offset, |oldest| oldest.header.offset.min(snapshot.header.offset)))
    }

    /// Writes down with what another version would begin, beside the snapshots of the version that is: which of the two
    /// counts is decided by the version that meta names.
    pub(crate) fn prepare(&self, snapshot: &Snapshot, present: u32) -> Result<(), EngineError> {
        self.keep_only(present)?;
        let number = self.numbers()?.last().map_or(1, |last| last + 1);
        self.write_as(number, snapshot)
    }

    /// The version of this snapshot has begun; those of others are of no use any more.
    pub(crate) fn begin(&self, snapshot: &Snapshot) -> Result<(), EngineError> {
        self.write_as(0, snapshot)?;
        self.keep_only(snapshot.header.pipeline_version)
    }

    /// Removes the snapshots of other versions: of earlier ones, and of one that was prepared and never began.
    pub(crate) fn keep_only(&self, version: u32) -> Result<(), EngineError> {
        for number in self.numbers()? {
            if self.read(number).is_ok_and(|found| found.header.pipeline_version != version) {
                let path = self.file(number);
                fs::remove_file(&path).map_err(|source| EngineError::Snapshot {
                    doing: "remove",
                    path,
                    source,
                })?;
            }
        }
        Ok(())
    }

    /// The snapshots of a version that can be read, the newest first, and why others could not.
    pub(crate) fn candidates(&self, version: u32) -> Result<(Vec<Snapshot>, Vec<String>), EngineError> {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for number in self.numbers()?.into_iter().rev() {
            match self.read(number) {
                Ok(snapshot) if snapshot.header.pipeline_version == version => found.push(snapshot),
                Ok(_) => {}
                Err(error) => damaged.push(format!("{}: {error}", self.file(number).display())),
            }
        }
        Ok((found, damaged))
    }

    /// The offset from which the log must be kept, so that the snapshot before the newest can be used.
    pub(crate) fn oldest_needed(&self) -> Result<Option<u64>, EngineError> {
        let numbers = self.numbers()?;
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

    fn write_as(&self, number: u64, snapshot: &Snapshot) -> Result<(), EngineError> {
        let path = self.file(number);
        let draft = path.with_extension("tmp");
        let written = (|| {
            fs::create_dir_all(&self.path)?;
            let mut file = File::create(&draft)?;
            file.write_all(&snapshot.encode()?)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|source| EngineError::Snapshot { doing: "write", path, source })
    }

    fn read(&self, number: u64) -> io::Result<Snapshot> {
        Snapshot::decode(&fs::read(self.file(number))?)
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number}.snap"))
    }

    fn numbers(&self) -> Result<Vec<u64>, EngineError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(EngineError::Snapshot { doing: "list", path: self.path.clone(), source });
            }
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut numbers: Vec<u64> = names
            .filter_map(|name| name.strip_suffix(".snap").and_then(|number| number.parse().ok()))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(offset: u64) -> Snapshot {
        let header = Header {
            pipeline_version: 1,
            schema_versions: vec![1],
            offset,
            event_times: vec![i64::MIN],
            rows_in: 1,
            rows_out: 2,
            late: 3,
            broken: 0,
            fingerprints: vec!["read homes".to_owned()],
            trail: Trail::default(),
        };
        Snapshot { header, operators: vec![vec![1, 2, 3], vec![]] }
    }

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
        assert_eq!(offsets(&folder), [20, 0]);
        assert_eq!(folder.candidates(1).unwrap().1.len(), 1);
        assert_eq!(folder.candidates(2).unwrap().0, []);
    }

    #[test]
    fn the_log_is_kept_from_the_older_snapshot_on() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), 7);
        folder.begin(&snapshot(0)).unwrap();
        assert_eq!(folder.write(&snapshot(10)).unwrap(), 10);
        assert_eq!(folder.write(&snapshot(20)).unwrap(), 10);
        assert_eq!(folder.write(&snapshot(30)).unwrap(), 20);
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

    #[test]
    fn every_damaged_byte_is_noticed() {
        let bytes = snapshot(5).encode().unwrap();
        assert_eq!(Snapshot::decode(&bytes).unwrap(), snapshot(5));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(Snapshot::decode(&damaged).is_err(), "byte {at}");
            assert!(Snapshot::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
