//! Opening a log: which segments are there, where the last one ends, what had been counted by then.
//!
//! Only the last segment is read; the headers of the others say enough. What follows its last whole group is a commit
//! that was never acknowledged and is cut away, unless a group follows: then acknowledged records are damaged, and the
//! log refuses to open rather than to forget them.

use std::path::Path;
use std::sync::Arc;

use springhouse_model::Timestamp;

use crate::group::{self, Header};
use crate::scan::Groups;
use crate::segment::{Counts, FileName, Index, Segment, SegmentHeader};
use crate::{Disk, LogError};

/// What a directory held.
pub(crate) struct Recovered {
    /// In order; the last one is written to.
    pub segments: Vec<Arc<Segment>>,
    /// Numbers of the emptied segments.
    pub free: Vec<u64>,
    pub end: u64,
    /// Position in the last segment at which the next group begins.
    pub position: u64,
    pub last_at: Timestamp,
    pub counts: Counts,
}

pub(crate) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, LogError> {
    let (mut bases, mut free) = (Vec::new(), Vec::new());
    for name in disk.list(dir).map_err(LogError::io("list", dir))? {
        match FileName::parse(&name) {
            Some(FileName::Segment(base)) => bases.push(base),
            Some(FileName::Free(number)) => free.push(number),
            None => {}
        }
    }
    bases.sort_unstable();
    free.sort_unstable();
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    let mut last_header = None;
    for base in bases {
        let (segment, header) = open_next(disk, dir, base, segments.last().map(Arc::as_ref))?;
        segments.push(Arc::new(segment));
        last_header = Some(header);
    }
    let mut recovered = Recovered {
        segments,
        free,
        end: 0,
        position: 0,
        last_at: Timestamp(i64::MIN),
        counts: Counts::default(),
    };
    if let (Some(last), Some(header)) = (recovered.segments.last().cloned(), last_header) {
        read_last(&last, header, &mut recovered)?;
    }
    Ok(recovered)
}

fn open_next(
    disk: &dyn Disk,
    dir: &Path,
    base: u64,
    before: Option<&Segment>,
) -> Result<(Segment, SegmentHeader), LogError> {
    let (segment, header) = Segment::open(disk, FileName::Segment(base).path_in(dir))?;
    if header.base != base {
        return Err(segment.corrupt(0, "the file's name is not that of its header"));
    }
    // The segment before the oldest one is gone by retention.
    if before.is_some_and(|before| header.previous != Some(before.base)) {
        return Err(segment.corrupt(0, "the segment before it is missing"));
    }
    Ok((segment, header))
}

fn read_last(last: &Segment, header: SegmentHeader, recovered: &mut Recovered) -> Result<(), LogError> {
    recovered.last_at = header.created_at;
    recovered.counts = header.before;
    let mut index = Index::default();
    let mut groups = Groups::from_start(last);
    while let Some((header, body)) = whole_group(&mut groups)? {
        let damaged = || last.corrupt(groups.position, "an acknowledged commit group is damaged");
        for record in group::records(&header, &body).ok_or_else(damaged)? {
            recovered.counts.add(&record).ok_or_else(damaged)?;
        }
        index.add(groups.entry(&header));
        recovered.last_at = recovered.last_at.max(header.appended_at);
        groups.advance(&header);
    }
    recovered.end = groups.expected;
    recovered.position = groups.position;
    *last.index.lock() = Some(index);
    cut_tail(last, recovered.position)
}

fn whole_group(groups: &mut Groups<'_>) -> Result<Option<(Header, bytes::Bytes)>, LogError> {
    let Some(header) = groups.header()? else { return Ok(None) };
    Ok(groups.body(&header)?.map(|body| (header, body)))
}

/// Makes the rest of a segment empty, when it is not.
fn cut_tail(last: &Segment, position: u64) -> Result<(), LogError> {
    if rest_is_empty(last, position)? {
        return Ok(());
    }
    let io = |doing| LogError::io(doing, &last.path);
    last.file.set_len(position).map_err(io("cut"))?;
    match last.file.allocate(last.file_bytes) {
        // Without room the segment is left with a hole; a commit that does not fit is refused then.
        Err(error) if crate::disk::is_full(&error) => {
            last.file.set_len(last.file_bytes).map_err(io("extend"))?
        }
        result => result.map_err(io("allocate"))?,
    }
    last.file.sync().map_err(io("sync"))
}

/// Whether there is nothing but zeros from `position` on. A group of this segment's present use that begins there
/// can only have been written after the one at `position` was durable.
fn rest_is_empty(last: &Segment, position: u64) -> Result<bool, LogError> {
    const CHUNK_BYTES: usize = 1 << 20;
    let mut is_empty = true;
    let mut chunk = vec![0; CHUNK_BYTES + group::HEADER_BYTES];
    let mut start = position;
    while start < last.file_bytes {
        // Chunks overlap by a header, so that each header lies whole in one of them.
        let read = last.file.read_at(&mut chunk, start).map_err(LogError::io("read", &last.path))?;
        let bytes = &chunk[..read];
        if bytes.iter().any(|byte| *byte != 0) {
            is_empty = false;
            let group_at = |at: &usize| {
                (start, *at) != (position, 0)
                    && bytes[*at..].starts_with(&group::MAGIC)
                    && Header::parse(&bytes[*at..], last.salt).is_some()
            };
            if (0..read).step_by(group::ALIGN_BYTES).any(|at| group_at(&at)) {
                return Err(last.corrupt(position, "a commit group is damaged and later ones are not"));
            }
        }
        if read == 0 {
            break;
        }
        start += CHUNK_BYTES as u64;
    }
    Ok(is_empty)
}
