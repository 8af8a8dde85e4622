//! `springhouse run`: the engine over files or standard input, without a hub.
//!
//! ```text
//! file ─1 MiB of lines─▶ decoders ─batch─▶ pipelines of that stream ─▶ derived streams ─▶ pipelines of those …
//!                          └─▶ quarantine file                             └─▶ NDJSON
//! ```
//! It ends when the input ends, and closes the windows. Pipelines run on one thread, lines are decoded on as many as there are
//! cores; of several streams the one is read that is behind in event time. Bounded memory, no clock.

mod decoding;
mod feed;
mod input;
mod ndjson;
mod outputs;
mod program;
mod quarantine;
mod stations;
mod tables;
mod usage;

use std::num::NonZero;
use std::path::PathBuf;

use serde::Serialize;

pub use input::Source;
pub use ndjson::Writer as NdjsonWriter;

use crate::tables::LoadError;
use crate::{PlanError, RunError};

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// `CREATE STREAM`, `CREATE TABLE`, `CREATE FUNCTION`, `CREATE PIPELINE` and `CREATE ALERT` statements, and at most one SELECT.
    pub sql: String,
    /// The file that the statements stand in, if they stand in one.
    pub sql_file: Option<PathBuf>,
    /// The folder from which the files of tables are named; that of the process when it is empty.
    pub base: PathBuf,
    /// Where the rows of a stream come from, in the order in which they are read, or the rows of a table.
    pub from: Vec<(String, Source)>,
    /// Where rows go. Without a stream's name: those of the SELECT or, without one, of the last pipeline.
    pub to: Vec<(Option<String>, Target)>,
    /// Lines that could not be read and rows that an expression has no value for, as NDJSON with the reason.
    pub quarantine: Option<PathBuf>,
    /// How many threads decode lines; as many as there are cores if it does not say.
    pub threads: Option<NonZero<usize>>,
    /// Files of components, all of whose exports may be called.
    pub functions: Vec<PathBuf>,
    /// The delay of the watermark of streams that are not declared, in microseconds.
    pub watermark_delay_us: Option<i64>,
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    File(PathBuf),
    /// Counted and forgotten.
    Nowhere,
}

/// What a run did; `--stats` prints it as one line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunStats {
    /// Rows that were read.
    pub events: u64,
    /// Rows that came too late for their window.
    pub late: u64,
    /// Lines that could not be read.
    pub quarantined: u64,
    /// What was wrong with the first of them, and where it stands.
    #[serde(skip)]
    pub first_quarantined: Option<String>,
    /// Rows that an expression has no value for.
    pub broken: u64,
    /// What it says of the first of them.
    #[serde(skip)]
    pub first_broken: Option<String>,
    /// Rows of the SELECT or the last pipeline.
    pub rows_out: u64,
    pub wall_seconds: f64,
    /// Of this process, user and system.
    pub cpu_seconds: f64,
    pub peak_rss_mb: f64,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    #[error("{0}")]
    Statement(#[from] PlanError),
    #[error("{0}")]
    Options(String),
    #[error("cannot {doing} `{}`", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Table(#[from] LoadError),
    #[error("{0}")]
    Run(#[from] RunError),
}

/// Runs to the end of the input. Blocks; call it on a thread of its own when there is a runtime.
pub fn run(options: &RunOptions) -> Result<RunStats, RunFailure> {
    let clock = std::time::Instant::now();
    let before = usage::cpu_seconds();
    let mut stats = program::Program::prepare(options)?.run()?;
    stats.wall_seconds = clock.elapsed().as_secs_f64();
    stats.cpu_seconds = (usage::cpu_seconds() - before).max(0.0);
    stats.peak_rss_mb = usage::peak_rss_mb();
    Ok(stats)
}

fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> RunFailure {
    let path = path.to_owned();
    move |source| RunFailure::Io { doing, path, source }
}
