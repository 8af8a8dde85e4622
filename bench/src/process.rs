//! What the kernel says of a process: CPU time, resident memory.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks per second of `/proc/<pid>/stat`; 100 on every Linux port that Debian supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system CPU seconds of a process, its threads included.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    Ok(cpu_in(&stat.context("cannot read the process's CPU time")?))
}

/// User and system CPU seconds of those threads of a process that have a name.
pub fn threads_cpu_seconds(pid: u32, name: &str) -> Result<f64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).context("cannot list the process's threads")?;
    let mut seconds = 0.0;
    for thread in threads {
        let stat = thread?.path().join("stat");
        // A thread may end in between.
        let Ok(stat) = fs::read_to_string(stat) else { continue };
        if stat.contains(&format!("({name})")) {
            seconds += cpu_in(&stat);
        }
    }
    Ok(seconds)
}

/// The CPU seconds in a `stat`, of a process or of a thread.
fn cpu_in(stat: &str) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Resident memory in megabytes that no file backs.
pub fn private_mb(pid: u32) -> Result<f64> {
    Ok(status_kb(pid, &["RssAnon:"])?[0] / 1024.0)
}

/// Resident memory in megabytes: now, and at its highest.
pub fn memory_mb(pid: u32) -> Result<(f64, f64)> {
    let found = status_kb(pid, &["VmRSS:", "VmHWM:"])?;
    Ok((found[0] / 1024.0, found[1] / 1024.0))
}

/// Lines of `/proc/<pid>/status` in kilobytes.
fn status_kb<const N: usize>(pid: u32, keys: &[&str; N]) -> Result<[f64; N]> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("cannot read the process's memory")?;
    Ok(keys.map(|key| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
    }))
}
