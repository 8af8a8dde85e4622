//! Disks that fail without taking the power away.

use std::io::ErrorKind;
use std::path::Path;

use springhouse_log::sim_disk::{Fault, SimDisk};
use springhouse_log::{Log, LogError, Offset};

use crate::support::{DIR, block_on, check, expected, group, open_sim};

/// Appends groups until one fails: (acknowledged, error).
fn run(log: &dyn Log, groups: u64) -> (u64, Option<LogError>) {
    for number in 0..groups {
        if let Err(error) = block_on(log.append(group(number))) {
            return (number, Some(error));
        }
    }
    (groups, None)
}

#[test]
fn after_any_failed_call_the_log_is_poisoned_or_untouched_and_nothing_is_lost() {
    let calls = {
        let calm = SimDisk::default();
        run(&open_sim(&calm).unwrap(), 30);
        calm.calls()
    };
    let mut poisonings = 0;
    for call in 0..calls {
        let disk = SimDisk::default();
        disk.fault_at(call, Fault::Error(ErrorKind::Other));
        let Ok(log) = open_sim(&disk) else { continue };
        let (acknowledged, error) = run(&log, 30);
        let context = || format!("call {call} fails");
        if let Some(error) = error {
            poisonings += 1;
            let again = block_on(log.append(group(acknowledged)));
            assert!(
                matches!(again, Err(LogError::Poisoned { .. })),
                "{}: {error}, then {again:?}",
                context()
            );
            assert!(log.stats().poisoned.is_some());
        }
        // Reads go on.
        check(&log, acknowledged, acknowledged, &context);
        drop(log);
        let attempted = acknowledged + u64::from(acknowledged < 30);
        check(&open_sim(&disk).unwrap(), acknowledged, attempted, &context);
    }
    assert!(poisonings > 60, "{poisonings} of {calls} calls");
}

#[test]
fn a_full_disk_fails_the_append_alone_and_the_log_goes_on_once_there_is_room() {
    for room in (9_000..40_000).step_by(500) {
        let disk = SimDisk::default();
        let log = open_sim(&disk).unwrap();
        log.hold("all", Offset(0));
        disk.limit(Some(room));
        let (acknowledged, error) = run(&log, 60);
        assert!(matches!(error, Some(LogError::Full { .. })), "{error:?}");
        let again = block_on(log.append(group(acknowledged)));
        assert!(matches!(again, Err(LogError::Full { .. })), "{again:?}");
        let context = || format!("{room} bytes of room");
        check(&log, acknowledged, acknowledged, &context);
        disk.limit(None);
        let first = block_on(log.append(group(acknowledged))).unwrap();
        assert_eq!(first.0, expected(acknowledged).len() as u64);
        check(&log, acknowledged + 1, acknowledged + 1, &context);
        drop(log);
        check(&open_sim(&disk).unwrap(), acknowledged + 1, acknowledged + 1, &context);
    }
}

#[test]
fn a_write_without_room_is_not_data_loss() {
    let calm = SimDisk::default();
    run(&open_sim(&calm).unwrap(), 10);
    let mut refused = 0;
    for call in 0..calm.calls() {
        let disk = SimDisk::default();
        disk.fault_at(call, Fault::Error(ErrorKind::StorageFull));
        let Ok(log) = open_sim(&disk) else { continue };
        let (acknowledged, error) = run(&log, 10);
        let context = || format!("no room at call {call}");
        check(&log, acknowledged, acknowledged, &context);
        if let Some(LogError::Full { .. }) = error {
            refused += 1;
            for number in acknowledged..10 {
                block_on(log.append(group(number))).unwrap();
            }
            check(&log, 10, 10, &context);
        }
    }
    assert!(refused > 8, "{refused} refused");
}

#[test]
fn damage_before_the_tail_is_refused_and_never_skipped() {
    let disk = SimDisk::default();
    run(&open_sim(&disk).unwrap(), 4);
    let path = Path::new(DIR).join(format!("{:020}.log", 0));
    let sound = disk.contents(&path).unwrap();
    let groups: Vec<usize> =
        sound.windows(4).enumerate().filter(|(_, word)| word == b"SGRP").map(|(at, _)| at).collect();
    assert!(groups.len() >= 4);
    // The last group may have been torn and is cut; each one before it was acknowledged.
    for position in 4096..*groups.last().unwrap() {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        disk.put(&path, damaged);
        let opened = open_sim(&disk).map(|log| log.end());
        assert!(matches!(opened, Err(LogError::Corrupt { .. })), "byte {position}: {opened:?}");
    }
}

#[test]
fn damage_in_a_sealed_segment_is_an_error_for_its_readers() {
    let disk = SimDisk::default();
    let log = open_sim(&disk).unwrap();
    log.hold("all", Offset(0));
    run(&log, 20);
    drop(log);
    let path = Path::new(DIR).join(format!("{:020}.log", 0));
    let mut damaged = disk.contents(&path).unwrap();
    damaged[4096 + 60] ^= 1;
    disk.put(&path, damaged);
    let log = open_sim(&disk).unwrap();
    assert!(matches!(log.read(Offset(0), 1), Err(LogError::Corrupt { .. })));
    let last = Offset(log.end().0 - 1);
    assert_eq!(log.read(last, 1).unwrap()[0].offset, last);
}

#[test]
fn a_missing_segment_is_noticed() {
    let disk = SimDisk::default();
    let log = open_sim(&disk).unwrap();
    log.hold("all", Offset(0));
    run(&log, 30);
    drop(log);
    let mut names = springhouse_log::Disk::list(&disk, Path::new(DIR)).unwrap();
    names.sort();
    springhouse_log::Disk::remove(&disk, &Path::new(DIR).join(&names[1])).unwrap();
    assert!(matches!(open_sim(&disk), Err(LogError::Corrupt { .. })));
}
