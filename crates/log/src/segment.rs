//! A segment file: its header, its place among the others and where its groups lie.
//!
//! ```text
//! magic "SPRHLOG\n" · version u32 · header bytes u32 (multiple of 4096: the first group begins there)
//! salt u64 · base u64 (offset of the first record) · base of the segment before u64 (all ones: none)
//! created i64 (time of the first commit) · rows 64 × u64 · producers u32 · producers × (id u64 · next seq u64)
//! CRC32C of the above u32 · zeros
//! ```
//! `rows` and `producers` say what had been appended before the segment, so that opening a log reads no older one.
//! The header is durable before the file gets its name `<base, 20 digits>.log`; until then, and after its life, the
//! file is called `free-<number>.log`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use springhouse_model::{PARTITIONS, Timestamp};

use crate::bytes_in::Fields;
use crate::{Disk, DiskFile, LogError, Record};

pub(crate) const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"SPRHLOG\n";
/// Also the unit in which the memory of the kernel and most disks write: a group never shares it with the header.
const HEADER_ALIGN_BYTES: usize = 4096;
/// 16 million producers; a header that claims more is not one.
const HEADER_BYTES_MAX: usize = 256 << 20;
const NO_PREVIOUS: u64 = u64::MAX;
/// A read looks through at most this much of a segment for its record.
const INDEX_SPACING_BYTES: u64 = 128 << 10;

/// What had been appended before a point of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub rows: Vec<u64>,
    pub producers: HashMap<u64, u64>,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { rows: vec![0; usize::from(PARTITIONS)], producers: HashMap::new() }
    }
}

impl Counts {
    /// Takes note of a record; `None` when its row numbers do not continue the ones before.
    pub(crate) fn add(&mut self, record: &Record) -> Option<()> {
        for span in &record.spans {
            let next = self.rows.get_mut(usize::from(span.partition)).filter(|next| **next == span.base)?;
            *next = span.base.checked_add(u64::from(span.rows))?;
        }
        self.note_producer(record);
        Some(())
    }

    /// Takes note of where a record's producer goes on.
    pub(crate) fn note_producer(&mut self, record: &Record) {
        if let Some(producer) = record.producer {
            let next = self.producers.entry(producer.id).or_default();
            *next = (*next).max(producer.seq.saturating_add(record.rows()));
        }
    }
}

/// The start of a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub salt: u64,
    pub base: u64,
    pub previous: Option<u64>,
    pub created_at: Timestamp,
    pub before: Counts,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for number in [self.salt, self.base, self.previous.unwrap_or(NO_PREVIOUS)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.created_at.micros().to_le_bytes());
        for rows in &self.before.rows {
            bytes.extend_from_slice(&rows.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.before.producers.len() as u32).to_le_bytes());
        for (id, seq) in &self.before.producers {
            bytes.extend_from_slice(&id.to_le_bytes());
            bytes.extend_from_slice(&seq.to_le_bytes());
        }
        let header_bytes = (bytes.len() + 4).next_multiple_of(HEADER_ALIGN_BYTES);
        bytes[12..16].copy_from_slice(&(header_bytes as u32).to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.resize(header_bytes, 0);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<SegmentHeader> {
        let mut fields = Fields(bytes);
        fields.take(MAGIC.len() + 8)?;
        let (salt, base, previous) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let created_at = Timestamp(fields.i64()?);
        let rows = (0..PARTITIONS).map(|_| fields.u64()).collect::<Option<Vec<u64>>>()?;
        let producer_count = fields.u32()?;
        let mut producers = HashMap::new();
        for _ in 0..producer_count {
            producers.insert(fields.u64()?, fields.u64()?);
        }
        let covered = bytes.len() - fields.0.len();
        let is_sound = fields.u32()? == crc32c::crc32c(&bytes[..covered]);
        is_sound.then_some(SegmentHeader {
            salt,
            base,
            previous: Some(previous).filter(|previous| *previous != NO_PREVIOUS),
            created_at,
            before: Counts { rows, producers },
        })
    }
}

/// Where a group lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub base: u64,
    pub appended_at: Timestamp,
    pub position: u64,
}

/// Every group that begins at least [`INDEX_SPACING_BYTES`] after the entry before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index(Vec<IndexEntry>);

impl Index {
    pub(crate) fn add(&mut self, entry: IndexEntry) {
        let is_far = |last: &IndexEntry| entry.position - last.position >= INDEX_SPACING_BYTES;
        if self.0.last().is_none_or(is_far) {
            self.0.push(entry);
        }
    }

    /// The last entry whose group satisfies `is_before`.
    pub(crate) fn last_where(&self, is_before: impl Fn(&IndexEntry) -> bool) -> Option<IndexEntry> {
        let count = self.0.partition_point(is_before);
        count.checked_sub(1).map(|last| self.0[last])
    }
}

/// A segment file in use. Readers share it; it is recycled only when none of them holds it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub path: PathBuf,
    pub file: Arc<dyn DiskFile>,
    pub salt: u64,
    pub base: u64,
    pub created_at: Timestamp,
    /// Position of the first group.
    pub start: u64,
    /// Bytes of the file, preallocated ones included.
    pub file_bytes: u64,
    /// Absent until someone reads a segment that an earlier process has filled.
    pub index: Mutex<Option<Index>>,
}

impl Segment {
    pub(crate) fn new(
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        header: &SegmentHeader,
        start: u64,
        file_bytes: u64,
    ) -> Segment {
        Segment {
            path,
            file,
            salt: header.salt,
            base: header.base,
            created_at: header.created_at,
            start,
            file_bytes,
            index: Mutex::new(None),
        }
    }

    /// The same empty segment after its file was made longer.
    pub(crate) fn with_file_bytes(&self, file_bytes: u64) -> Segment {
        Segment {
            path: self.path.clone(),
            file: Arc::clone(&self.file),
            index: Mutex::new(Some(Index::default())),
            file_bytes,
            ..*self
        }
    }

    /// Opens a segment file and reads its header.
    pub(crate) fn open(disk: &dyn Disk, path: PathBuf) -> Result<(Segment, SegmentHeader), LogError> {
        let file = disk.open(&path).map_err(LogError::io("open", &path))?;
        let file_bytes = file.size().map_err(LogError::io("read", &path))?;
        let (header, start) = read_header(file.as_ref(), &path, file_bytes)?;
        Ok((Segment::new(path, file, &header, start, file_bytes), header))
    }

    pub(crate) fn corrupt(&self, at: u64, what: &'static str) -> LogError {
        LogError::Corrupt { path: self.path.clone(), at, what }
    }
}

fn read_header(file: &dyn DiskFile, path: &Path, file_bytes: u64) -> Result<(SegmentHeader, u64), LogError> {
    let corrupt = |what| LogError::Corrupt { path: path.to_owned(), at: 0, what };
    let mut bytes = vec![0; HEADER_ALIGN_BYTES];
    let read = file.read_at(&mut bytes, 0).map_err(LogError::io("read", path))?;
    bytes.truncate(read);
    let mut fields = Fields(&bytes);
    if fields.take(MAGIC.len()) != Some(&MAGIC) {
        return Err(corrupt("not a segment of this log"));
    }
    let (version, header_bytes) = fields.u32().zip(fields.u32()).ok_or(corrupt("header is cut"))?;
    if version > FORMAT_VERSION {
        return Err(LogError::NewerVersion { path: path.to_owned(), found: version, known: FORMAT_VERSION });
    }
    let start = header_bytes as usize;
    if start > HEADER_BYTES_MAX || u64::from(header_bytes) > file_bytes || start < HEADER_ALIGN_BYTES {
        return Err(corrupt("header is cut"));
    }
    if start > bytes.len() {
        bytes.resize(start, 0);
        file.read_at(&mut bytes, 0).map_err(LogError::io("read", path))?;
    }
    let header = SegmentHeader::parse(&bytes).ok_or(corrupt("header does not match its checksum"))?;
    Ok((header, u64::from(header_bytes)))
}

/// What a file name in the log's directory means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    Segment(u64),
    Free(u64),
}

impl FileName {
    pub(crate) fn parse(name: &str) -> Option<FileName> {
        let stem = name.strip_suffix(".log")?;
        match stem.strip_prefix("free-") {
            Some(number) => number.parse().ok().map(FileName::Free),
            None if stem.len() == 20 => stem.parse().ok().map(FileName::Segment),
            None => None,
        }
    }

    pub(crate) fn path_in(self, dir: &Path) -> PathBuf {
        match self {
            FileName::Segment(base) => dir.join(format!("{base:020}.log")),
            FileName::Free(number) => dir.join(format!("free-{number}.log")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_whatever_its_size() {
        for producer_count in [0, 1, 1000] {
            let before = Counts {
                rows: (0..64).collect(),
                producers: (0..producer_count).map(|id| (id, id * 7)).collect(),
            };
            let header =
                SegmentHeader { salt: 1, base: 2, previous: Some(1), created_at: Timestamp(3), before };
            let bytes = header.encode();
            assert_eq!(bytes.len() % HEADER_ALIGN_BYTES, 0);
            assert_eq!(SegmentHeader::parse(&bytes), Some(header));
        }
    }

    #[test]
    fn file_names_are_read_as_they_are_written() {
        for name in [FileName::Segment(0), FileName::Segment(u64::MAX), FileName::Free(12)] {
            let path = name.path_in(Path::new("/log"));
            assert_eq!(FileName::parse(path.file_name().unwrap().to_str().unwrap()), Some(name));
        }
        for other in ["lock", "1.log", "free-x.log", "notes.txt"] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_index_keeps_its_distance() {
        let mut index = Index::default();
        for n in 0..100 {
            index.add(IndexEntry { base: n, appended_at: Timestamp(n as i64), position: n * 50_000 });
        }
        assert_eq!(index.0.len(), 34);
        assert_eq!(index.last_where(|entry| entry.base <= 4).unwrap().base, 3);
        assert_eq!(Index::default().last_where(|_| true), None);
    }
}
