//! What the fuzzer runs, and what the committed corpus replays in the ordinary tests.

use std::path::Path;

use bytes::Bytes;
use springhouse_model::Timestamp;

use crate::group::GroupBuilder;
use crate::record::number;
use crate::recovery::recover;
use crate::segment::{Counts, FileName, SegmentHeader};
use crate::sim_disk::SimDisk;
use crate::{Append, Kind, Offset, Producer, Record};

const SALT: u64 = 0x5a17;
const GROUPS: usize = 3;

/// Opens a log whose segment was made from `data`: it is refused, or it opens and what can be read of it was written.
/// The first byte says how: 0 damages a sound segment, 1 takes the rest for a whole segment, 2 for its groups, 3 for
/// the body of a group.
///
/// # Panics
/// When records appear that nobody wrote, which is what the fuzzer looks for.
pub fn recover_segment(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let written = sound_records();
    match how % 4 {
        0 => check(damage(segment(&written), rest), Some(&written)),
        1 => check(rest.to_vec(), None),
        2 => check([header().encode(), rest.to_vec()].concat(), None),
        _ => check([header().encode(), group_of(rest)].concat(), None),
    }
}

fn check(file: Vec<u8>, written: Option<&[Record]>) {
    let disk = SimDisk::default();
    let dir = Path::new("/log");
    disk.put(&FileName::Segment(0).path_in(dir), file);
    let Ok(recovered) = recover(&disk, dir) else { return };
    let Some(segment) = recovered.segments.first() else { return };
    let mut found = Vec::new();
    let read = segment.read(0, recovered.end, usize::MAX, &mut found);
    assert!(read.is_ok(), "recovery accepted what a reader refuses: {read:?}");
    assert_eq!(found.len() as u64, recovered.end, "offsets are not dense");
    if let Some(written) = written {
        for (found, written) in found.iter().zip(written) {
            assert_eq!(format!("{found:?}"), format!("{written:?}"));
        }
        assert!(found.len() <= written.len(), "more records than were written");
    }
}

fn header() -> SegmentHeader {
    SegmentHeader { salt: SALT, base: 0, previous: None, created_at: Timestamp(1), before: Counts::default() }
}

/// Two records for each of [`GROUPS`] groups.
fn sound_records() -> Vec<Record> {
    let mut rows = Counts::default().rows;
    let record = |offset: u64| {
        let append = Append {
            kind: Kind::Readings,
            stream: 1,
            schema_version: 1,
            spans: vec![(offset as u8, 2), (63, 1)],
            producer: Some(Producer { id: 1, seq: offset * 3 }),
            payload: Bytes::from(vec![offset as u8; 20 * offset as usize]),
            batch: None,
        };
        number(append, Offset(offset), Timestamp(1), &mut rows)
    };
    (0..2 * GROUPS as u64).map(record).collect()
}

fn segment(records: &[Record]) -> Vec<u8> {
    let mut file = header().encode();
    for pair in records.chunks(2) {
        let mut group = GroupBuilder::default();
        group.clear();
        pair.iter().for_each(|record| group.push(record));
        group.close();
        file.extend_from_slice(group.seal(pair[0].offset.0, Timestamp(1), SALT));
    }
    file.resize(file.len() + 512, 0);
    file
}

/// A group whose checksums are right, around any body.
fn group_of(body: &[u8]) -> Vec<u8> {
    let mut group = GroupBuilder::default();
    group.clear();
    group.push_raw(body);
    group.close();
    group.seal(0, Timestamp(1), SALT).to_vec()
}

/// Four bytes each: position, position, what to do, with what.
fn damage(mut file: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(4) {
        let Some(last) = file.len().checked_sub(1) else { return file };
        let position = usize::from(u16::from_le_bytes([change[0], change[1]])).min(last);
        match change[2] % 4 {
            0 | 1 => file[position] ^= change[3],
            2 => file.truncate(position),
            _ => file[position..].fill(change[3]),
        }
    }
    file
}
