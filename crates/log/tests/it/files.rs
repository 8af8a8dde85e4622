//! The log on the machine's own disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use springhouse_log::{Append, DiskLog, FileDisk, Log, LogError, Offset, Options};
use springhouse_model::{ManualClock, Timestamp};

use crate::support::{check, group, small};

fn options() -> Options {
    small(Arc::new(FileDisk))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn one_directory_belongs_to_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = DiskLog::open(dir.path(), options()).unwrap();
    assert!(matches!(DiskLog::open(dir.path(), options()), Err(LogError::InUse { .. })));
    drop(log);
    let held = DiskLog::open(dir.path(), options()).unwrap();
    // One that is closed writes no more, whoever still holds it.
    held.close().await;
    DiskLog::open(dir.path(), options()).unwrap();
    drop(held);
}

#[tokio::test]
async fn a_newer_format_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    DiskLog::open(dir.path(), options()).unwrap();
    let path = dir.path().join(format!("{:020}.log", 0));
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, bytes).unwrap();
    let refused = DiskLog::open(dir.path(), options()).err();
    assert!(matches!(refused, Some(LogError::NewerVersion { found: 2, known: 1, .. })), "{refused:?}");
}

#[tokio::test]
async fn segments_are_emptied_and_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = DiskLog::open(dir.path(), options()).unwrap();
    for number in 0..60 {
        log.append(group(number)).await.unwrap();
    }
    log.apply_retention().await;
    let stats = log.stats();
    assert!(stats.segments <= 4 && stats.segments_free <= 1, "{stats:?}");
    assert!(stats.bytes <= 6 * (6 << 10), "{stats:?}");
    assert!(log.head() > Offset(0));
    check(&log, 60, 60, &|| "recycled".to_owned());
    drop(log);
    assert!(names(dir.path()).len() <= 6, "{:?}", names(dir.path()));
    check(&DiskLog::open(dir.path(), options()).unwrap(), 60, 60, &|| "reopened".to_owned());
}

#[tokio::test]
async fn old_segments_go_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let options = Options {
        retention_bytes: None,
        retention_age: Some(Duration::from_secs(3600)),
        clock: clock.clone(),
        ..options()
    };
    let log = DiskLog::open(dir.path(), options).unwrap();
    for number in 0..30 {
        log.append(group(number)).await.unwrap();
    }
    log.apply_retention().await;
    assert_eq!(log.head(), Offset(0));
    clock.advance_micros(3_601 * 1_000_000);
    log.apply_retention().await;
    assert!(log.head() > Offset(0));
    assert_eq!(log.stats().segments, 1);
    check(&log, 30, 30, &|| "by age".to_owned());
}

#[tokio::test]
async fn nothing_is_removed_before_consumers_had_time_to_hold() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let grace = Duration::from_secs(60);
    let options = Options { retention_grace: grace, clock: clock.clone(), ..options() };
    let log = DiskLog::open(dir.path(), options).unwrap();
    for number in 0..60 {
        log.append(group(number)).await.unwrap();
    }
    log.apply_retention().await;
    assert_eq!(log.head(), Offset(0));
    clock.advance_micros(60_000_000);
    log.apply_retention().await;
    assert!(log.head() > Offset(0));
}

#[tokio::test]
async fn groups_larger_than_a_segment_get_one_of_their_size() {
    let dir = tempfile::tempdir().unwrap();
    let large = |byte: u8| Append::session(Bytes::from(vec![byte; 50_000]));
    let log = DiskLog::open(dir.path(), Options { retention_bytes: None, ..options() }).unwrap();
    for byte in 0..4 {
        log.append(vec![large(byte)]).await.unwrap();
        log.append(vec![Append::session(Bytes::from_static(b"small"))]).await.unwrap();
    }
    drop(log);
    let log = DiskLog::open(dir.path(), Options { retention_bytes: None, ..options() }).unwrap();
    assert_eq!(log.end(), Offset(8));
    for byte in 0..4 {
        let found = log.read(Offset(u64::from(byte) * 2), 1).unwrap();
        assert_eq!(found[0].payload, vec![byte; 50_000]);
    }
    let refused = log.append(vec![Append::session(Bytes::from(vec![0; 17 << 20]))]).await;
    assert!(matches!(refused, Err(LogError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_full_queue_makes_writers_wait_and_loses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { queue_bytes: 500, segment_bytes: 1 << 20, retention_bytes: None, ..options() };
    let log = Arc::new(DiskLog::open(dir.path(), options).unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for byte in 0..50 {
        let log = Arc::clone(&log);
        writers.spawn(async move { log.append(vec![Append::session(Bytes::from(vec![byte; 300]))]).await });
    }
    while let Some(appended) = writers.join_next().await {
        appended.unwrap().unwrap();
    }
    assert_eq!(log.end(), Offset(50));
}

#[tokio::test]
async fn a_read_from_disk_goes_over_segment_borders() {
    let dir = tempfile::tempdir().unwrap();
    let log = DiskLog::open(dir.path(), Options { retention_bytes: None, ..options() }).unwrap();
    for number in 0..40 {
        log.append(group(number)).await.unwrap();
    }
    assert!(log.stats().segments > 3);
    let records = log.read(Offset(0), usize::MAX).unwrap();
    assert_eq!(records.len() as u64, log.end().0);
    check(&log, 40, 40, &|| "borders".to_owned());
}
