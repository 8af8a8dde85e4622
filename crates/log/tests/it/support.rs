//! Small logs and what is in them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use springhouse_log::sim_disk::SimDisk;
use springhouse_log::{Append, Disk, DiskLog, Log, LogError, Offset, Options, Producer, Record};
use springhouse_model::{ManualClock, Timestamp};

pub const DIR: &str = "/log";

/// Segments that hold a few groups, so that a short test sees them come and go.
pub fn small(disk: Arc<dyn Disk>) -> Options {
    Options {
        segment_bytes: 6 << 10,
        retention_bytes: Some(14 << 10),
        retention_grace: Duration::ZERO,
        segments_free_max: 1,
        tail_bytes: 0,
        disk,
        clock: Arc::new(ManualClock::at(Timestamp(1_000))),
        ..Options::default()
    }
}

pub fn open_sim(disk: &SimDisk) -> Result<DiskLog, LogError> {
    DiskLog::open(Path::new(DIR), small(Arc::new(disk.clone())))
}

/// One runtime for all tests of a thread: a crash test opens thousands of logs.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Group `number` of a workload: one to three records with spans, a producer and payloads of different sizes.
pub fn group(number: u64) -> Vec<Append> {
    let record = |part: u64| {
        let mut append = Append::session(Bytes::from(payload(number, part)));
        append.spans = vec![((number % 64) as u8, 1 + part as u32), (5, 2)];
        append.producer = (part == 0).then_some(Producer { id: number % 2, seq: number * 3 });
        append
    };
    (0..records_of(number)).map(record).collect()
}

pub fn records_of(number: u64) -> u64 {
    1 + number % 3
}

fn payload(number: u64, part: u64) -> Vec<u8> {
    let mut bytes = format!("group {number} part {part} ").into_bytes();
    bytes.resize(bytes.len() + (number * 67 % 400) as usize, b'a' + (number % 26) as u8);
    bytes
}

/// (group, part) of every record of the first `groups` groups.
pub fn expected(groups: u64) -> Vec<Vec<u8>> {
    (0..groups).flat_map(|number| (0..records_of(number)).map(move |part| payload(number, part))).collect()
}

/// Everything from the head on.
pub fn read_all(log: &dyn Log) -> Result<Vec<Arc<Record>>, LogError> {
    let mut found = Vec::new();
    let mut position = log.head();
    loop {
        let records = log.read(position, 1 << 10)?;
        let Some(last) = records.last() else { return Ok(found) };
        position = last.next_offset();
        found.extend(records);
    }
}

/// Checks what a log holds against a workload of which `acknowledged` groups were acknowledged and one more may be
/// there.
pub fn check(log: &dyn Log, acknowledged: u64, attempted: u64, context: &dyn Fn() -> String) {
    let groups_end = |groups: u64| expected(groups).len() as u64;
    let end = log.end().0;
    let is_group_end = (acknowledged..=attempted).any(|groups| groups_end(groups) == end);
    assert!(is_group_end, "{}: end {end} is not that of a group", context());
    let found = read_all(log).unwrap_or_else(|error| panic!("{}: {error}", context()));
    let all = expected(attempted);
    let head = log.head().0;
    assert_eq!(found.len() as u64, end - head, "{}: from head to end", context());
    for (record, offset) in found.iter().zip(head..) {
        assert_eq!(record.offset, Offset(offset), "{}", context());
        assert_eq!(record.payload, all[offset as usize], "{}: {}", context(), record.offset);
    }
    let mut next = [None; 64];
    for span in found.iter().flat_map(|record| &record.spans) {
        let expected = next[usize::from(span.partition)].replace(span.base + u64::from(span.rows));
        assert!(expected.is_none_or(|base| base == span.base), "{}: {span:?}", context());
    }
    for (number, next) in next.iter().enumerate() {
        let counted = log.stats().rows[number];
        assert!(
            next.is_none_or(|next| next == counted),
            "{}: partition {number} counts {counted}",
            context()
        );
    }
}
