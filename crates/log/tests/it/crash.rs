//! The power goes at every call that the log ever makes to its disk, and what was not synced survives in every way
//! that a disk may choose: afterwards every acknowledged record is there, once, in order, and nothing else but a whole
//! group that was not acknowledged.

use springhouse_log::Log;
use springhouse_log::sim_disk::{Fault, Keep, SimDisk, Torn};

use crate::support::{block_on, check, expected, group, open_sim};

/// Enough for segments to be filled, emptied and used again.
const GROUPS_A_LIFE: u64 = 14;
const LIVES: u64 = 2;

/// Runs the workload until it ends or the disk stops: (acknowledged, attempted) groups.
fn run(disk: &SimDisk) -> (u64, u64) {
    let mut acknowledged = 0;
    for _ in 0..LIVES {
        let Ok(log) = open_sim(disk) else { return (acknowledged, acknowledged) };
        for _ in 0..GROUPS_A_LIFE {
            match block_on(log.append(group(acknowledged))) {
                Ok(first) => assert_eq!(first.0, expected(acknowledged).len() as u64),
                Err(_) => return (acknowledged, acknowledged + 1),
            }
            acknowledged += 1;
        }
    }
    (acknowledged, acknowledged)
}

/// Every way in which the pending operations may have happened: each subset, and each write torn at each byte and by
/// sectors, with and without the others.
fn outcomes(pending: &[usize]) -> Vec<Keep> {
    let subsets = 1_u64 << pending.len().min(6);
    let mut outcomes: Vec<Keep> = (0..subsets).map(|operations| Keep { operations, torn: None }).collect();
    for (number, bytes) in pending.iter().enumerate().filter(|(_, bytes)| **bytes > 0) {
        let others = !(1 << number);
        // A segment's header is long and mostly zeros: its first bytes and its sectors are enough.
        for cut in 0..(*bytes).min(1_200) {
            outcomes.push(Keep { operations: others, torn: Some((number, Torn::Prefix(cut))) });
            outcomes.push(Keep { operations: others, torn: Some((number, Torn::Suffix(cut))) });
        }
        for sectors in 0..32 {
            for operations in [0, others] {
                outcomes.push(Keep { operations, torn: Some((number, Torn::Sectors(sectors))) });
            }
        }
    }
    outcomes
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_power_goes() {
    let calm = SimDisk::default();
    assert_eq!(run(&calm), (LIVES * GROUPS_A_LIFE, LIVES * GROUPS_A_LIFE));
    let (mut tried, mut had_torn) = (0, 0);
    let mut before = None;
    for call in 0..calm.calls() {
        let disk = SimDisk::default();
        disk.fault_at(call, Fault::Crash);
        let (acknowledged, attempted) = run(&disk);
        // The sync after a write leaves the same things open as the write itself.
        let open = Some((disk.pending(), acknowledged, attempted));
        if before == open {
            continue;
        }
        before = open;
        for keep in outcomes(&disk.pending()) {
            let after = disk.after_crash(keep);
            let context = || format!("crash at call {call} with {keep:?}");
            let log = open_sim(&after).unwrap_or_else(|error| panic!("{}: {error}", context()));
            check(&log, acknowledged, attempted, &context);
            tried += 1;
            had_torn += u64::from(keep.torn.is_some());
        }
    }
    assert!(tried > 10_000 && had_torn > 5_000, "{tried} crashes, {had_torn} of them with a torn write");
}

#[test]
fn a_log_goes_on_after_a_crash_and_survives_one_while_it_recovers() {
    // A log with a torn tail, so that recovery has something to cut.
    let disk = SimDisk::default();
    let calm_calls = {
        let calm = SimDisk::default();
        run(&calm);
        calm.calls()
    };
    let mut torn = None;
    for call in (0..calm_calls).rev() {
        let disk = SimDisk::default();
        disk.fault_at(call, Fault::Crash);
        let counts = run(&disk);
        if let [bytes] = disk.pending()[..]
            && bytes > 300
        {
            torn =
                Some((disk.after_crash(Keep { operations: 0, torn: Some((0, Torn::Prefix(200))) }), counts));
            break;
        }
    }
    drop(disk);
    let (torn, (acknowledged, attempted)) = torn.unwrap();
    let reopened = |disk: &SimDisk| disk.after_crash(Keep::default());
    let calm = reopened(&torn);
    drop(open_sim(&calm).unwrap());
    assert!(calm.calls() > 5);
    for call in 0..calm.calls() {
        let disk = reopened(&torn);
        disk.fault_at(call, Fault::Crash);
        assert!(open_sim(&disk).is_err(), "call {call} is needed to open a log with a torn tail");
        for keep in outcomes(&disk.pending()) {
            let after = disk.after_crash(keep);
            let context = || format!("crash at call {call} of recovery with {keep:?}");
            let log = open_sim(&after).unwrap_or_else(|error| panic!("{}: {error}", context()));
            check(&log, acknowledged, attempted, &context);
            for number in acknowledged..acknowledged + 6 {
                block_on(log.append(group(number))).unwrap();
            }
            check(&log, acknowledged + 6, acknowledged + 6, &context);
            drop(log);
            check(&open_sim(&after).unwrap(), acknowledged + 6, acknowledged + 6, &context);
        }
    }
}
