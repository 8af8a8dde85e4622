//! Walking through the groups of a segment, for recovery, for the index and for readers.

use bytes::Bytes;

use crate::group::{self, Header};
use crate::segment::{Index, IndexEntry, Segment};
use crate::{LogError, Record};

/// Small groups are read this much at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// A position between two groups of a segment.
pub(crate) struct Groups<'a> {
    segment: &'a Segment,
    /// Where the next group begins.
    pub position: u64,
    /// The offset that its first record must have.
    pub expected: u64,
    chunk: Bytes,
    chunk_start: u64,
}

impl<'a> Groups<'a> {
    pub(crate) fn from_start(segment: &'a Segment) -> Groups<'a> {
        Groups::at(segment, segment.start, segment.base)
    }

    pub(crate) fn at(segment: &'a Segment, position: u64, expected: u64) -> Groups<'a> {
        Groups { segment, position, expected, chunk: Bytes::new(), chunk_start: 0 }
    }

    /// The header of the group at this position, or `None` when there is no such group.
    pub(crate) fn header(&mut self) -> Result<Option<Header>, LogError> {
        let bytes = self.bytes(group::HEADER_BYTES)?;
        let header = Header::parse(&bytes, self.segment.salt);
        Ok(header.filter(|header| header.base == self.expected))
    }

    /// The body of the group at this position, or `None` when it is not whole.
    pub(crate) fn body(&mut self, header: &Header) -> Result<Option<Bytes>, LogError> {
        let group = self.bytes(group::HEADER_BYTES + header.body_bytes as usize)?;
        let body = group.slice(group::HEADER_BYTES.min(group.len())..);
        Ok(Some(body).filter(|body| header.matches(body)))
    }

    pub(crate) fn advance(&mut self, header: &Header) {
        self.position += header.group_bytes();
        self.expected = header.end();
    }

    pub(crate) fn entry(&self, header: &Header) -> IndexEntry {
        IndexEntry { base: header.base, appended_at: header.appended_at, position: self.position }
    }

    /// The next `count` bytes, fewer at the end of the file.
    fn bytes(&mut self, count: usize) -> Result<Bytes, LogError> {
        let skip = self.position.checked_sub(self.chunk_start).and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = skip
            && skip.saturating_add(count) <= self.chunk.len()
        {
            return Ok(self.chunk.slice(skip..skip + count));
        }
        let left =
            usize::try_from(self.segment.file_bytes.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let mut chunk = vec![0; count.max(CHUNK_BYTES).min(left)];
        let read = self.segment.file.read_at(&mut chunk, self.position);
        chunk.truncate(read.map_err(LogError::io("read", &self.segment.path))?);
        self.chunk = Bytes::from(chunk);
        self.chunk_start = self.position;
        Ok(self.chunk.slice(..count.min(self.chunk.len())))
    }
}

impl Segment {
    /// Calls `use_index`, after building the index if an earlier process has filled the segment. `end` is the offset
    /// at which the segment is known to end.
    fn with_index<T>(&self, end: u64, use_index: impl FnOnce(&Index) -> T) -> Result<T, LogError> {
        let mut slot = self.index.lock();
        if let Some(index) = slot.as_ref() {
            return Ok(use_index(index));
        }
        let mut index = Index::default();
        let mut groups = Groups::from_start(self);
        while groups.expected < end {
            let header =
                groups.header()?.ok_or(self.corrupt(groups.position, "a commit group is missing"))?;
            index.add(groups.entry(&header));
            groups.advance(&header);
        }
        let answer = use_index(&index);
        *slot = Some(index);
        Ok(answer)
    }

    fn groups_from(&self, entry: Option<IndexEntry>) -> Groups<'_> {
        match entry {
            Some(entry) => Groups::at(self, entry.position, entry.base),
            None => Groups::from_start(self),
        }
    }

    /// Appends the records in `[from, end)` to `records` until their payloads reach `bytes_max`; at least one.
    pub(crate) fn read(
        &self,
        from: u64,
        end: u64,
        bytes_max: usize,
        records: &mut Vec<Record>,
    ) -> Result<(), LogError> {
        let entry = self.with_index(end, |index| index.last_where(|entry| entry.base <= from))?;
        let mut groups = self.groups_from(entry);
        let mut bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        while groups.expected < end {
            let corrupt = self.corrupt(groups.position, "an acknowledged commit group is damaged");
            let header = groups.header()?.ok_or(corrupt.clone())?;
            if header.end() > from {
                let body = groups.body(&header)?.ok_or(corrupt.clone())?;
                for record in group::records(&header, &body).ok_or(corrupt)? {
                    if record.offset.0 < from {
                        continue;
                    }
                    bytes = bytes.saturating_add(record.payload.len().max(1));
                    if bytes > bytes_max && !records.is_empty() {
                        return Ok(());
                    }
                    records.push(record);
                }
            }
            groups.advance(&header);
        }
        Ok(())
    }

    /// The offset of the first group at or after `time`, `end` when there is none in this segment.
    pub(crate) fn offset_at(&self, time: springhouse_model::Timestamp, end: u64) -> Result<u64, LogError> {
        let entry = self.with_index(end, |index| index.last_where(|entry| entry.appended_at < time))?;
        let mut groups = self.groups_from(entry);
        while groups.expected < end {
            let corrupt = self.corrupt(groups.position, "an acknowledged commit group is damaged");
            let header = groups.header()?.ok_or(corrupt)?;
            if header.appended_at >= time {
                return Ok(header.base);
            }
            groups.advance(&header);
        }
        Ok(end)
    }
}
