//! What an operator can set; each default with its reason.

use std::path::PathBuf;
use std::time::Duration;

/// How the lake writes, keeps and answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the objects, created when missing.
    pub dir: PathBuf,
    /// Rows in memory are written down when they take this much; Parquet makes about a tenth of it.
    pub flush_bytes: usize,
    /// And at the latest after this long, so that a quiet hub does not hold its log back.
    pub flush_every: Duration,
    /// Reading the log pauses when this much waits in memory, because the object store is slow or full.
    pub tail_bytes_max: usize,
    /// Merged files end here: small enough to rewrite, large enough that a month has few.
    pub file_bytes: u64,
    /// That many files of one level and day are merged; a row is rewritten once per level, so log_8 of the files.
    pub merge_files: usize,
    /// How often merging and retention look for work.
    pub tidy_every: Duration,
    /// Last values are written to meta this often; what is lost is read again from the log.
    pub twin_every: Duration,
    /// Memory of all queries together; beyond it they spill or fail, the hub does not.
    pub query_memory_bytes: usize,
    /// What queries may spill to the system's folder for temporary files; the disk belongs to the readings.
    pub query_spill_bytes: u64,
    pub query_time: Duration,
    /// A backtest reads a year where a query reads a day.
    pub backtest_time: Duration,
    /// Rows that a query may return; more are cut off and the result says so. Who shows rows sets a limit of his own;
    /// this one ends what nobody would read.
    pub query_rows_max: usize,
    /// Threads for queries and merging, apart from those that take readings in.
    pub threads: usize,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            flush_bytes: 64 << 20,
            flush_every: Duration::from_secs(60),
            tail_bytes_max: 256 << 20,
            file_bytes: 256 << 20,
            merge_files: 8,
            tidy_every: Duration::from_secs(30),
            twin_every: Duration::from_secs(10),
            query_memory_bytes: 512 << 20,
            query_spill_bytes: 2 << 30,
            query_time: Duration::from_secs(60),
            backtest_time: Duration::from_secs(600),
            query_rows_max: 100_000_000,
            threads: 2,
        }
    }
}
