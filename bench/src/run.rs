//! `springhouse run`: queries over a file of generated events, and what they took.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::Arguments;

/// What the program tells of a run (`--stats`).
pub struct Ran {
    pub events: f64,
    pub rows_out: f64,
    pub late: f64,
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
    pub peak_rss_mb: f64,
}

impl Ran {
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.events
    }
}

/// Writes generated events to a file; `flag` says which.
pub fn generate(arguments: &Arguments, flag: &str, events: u64, to: &Path) -> Result<()> {
    let made = Command::new(&arguments.springhouse)
        .args(["sim", flag, &events.to_string()])
        .stdout(fs::File::create(to)?)
        .status()?;
    if !made.success() {
        bail!("the event generator failed");
    }
    Ok(())
}

/// Threads that decode lines.
#[derive(Clone, Copy)]
pub enum Threads {
    One,
    /// One for each core.
    All,
}

/// How often [`fastest`] runs: on a machine that others share, one run says how busy they were.
pub const RUNS: usize = 3;

/// The one of some runs over the same events that took the least CPU, with the least time and the most memory of all.
pub fn fastest(
    arguments: &Arguments,
    threads: Threads,
    sql: &str,
    stream: &str,
    events: &Path,
    to: &Path,
) -> Result<Ran> {
    let mut fastest = run(arguments, threads, sql, stream, events, to)?;
    for _ in 1..RUNS {
        let ran = run(arguments, threads, sql, stream, events, to)?;
        fastest.cpu_seconds = fastest.cpu_seconds.min(ran.cpu_seconds);
        fastest.wall_seconds = fastest.wall_seconds.min(ran.wall_seconds);
        fastest.peak_rss_mb = fastest.peak_rss_mb.max(ran.peak_rss_mb);
    }
    Ok(fastest)
}

/// Runs statements over the events of one stream.
pub fn run(
    arguments: &Arguments,
    threads: Threads,
    sql: &str,
    stream: &str,
    events: &Path,
    to: &Path,
) -> Result<Ran> {
    let file = events.with_extension("sql");
    fs::write(&file, sql)?;
    let threads: &[&str] = match threads {
        Threads::One => &["--threads", "1"],
        Threads::All => &[],
    };
    let output = Command::new(&arguments.springhouse)
        .arg("run")
        .args(threads)
        .arg(&file)
        .arg("--from")
        .arg(format!("{stream}={}", events.display()))
        .arg("--to")
        .arg(to)
        .arg("--stats")
        .output()?;
    let stats = last_object(&output.stdout).or_else(|| last_object(&output.stderr)).with_context(|| {
        format!("`springhouse run` gave no statistics: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let number = |key: &str| stats[key].as_f64().unwrap_or(f64::NAN);
    if number("quarantined") != 0.0 {
        bail!("generated events did not fit: {stats}");
    }
    Ok(Ran {
        events: number("events"),
        rows_out: number("rows_out"),
        late: number("late"),
        cpu_seconds: number("cpu_seconds"),
        wall_seconds: number("wall_seconds"),
        peak_rss_mb: number("peak_rss_mb"),
    })
}

/// The last line that is a JSON object.
pub fn last_object(output: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(output);
    text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object))
}
