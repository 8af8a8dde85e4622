//! `make bench`: measures the hub and its peers side by side and writes `docs/benchmarks.md`.
//!
//! Every figure stands beside the peer's figure from the same run, because wall times depend on the machine and
//! its neighbours. CPU seconds and resident memory are read from `/proc` for the server process alone.

mod api;
mod client;
mod disk;
mod engine;
mod flink;
mod history;
mod idle;
mod latency;
mod nexmark;
mod pipelines;
mod process;
mod random;
mod recovery;
mod report;
mod riotbench;
mod rules;
mod run;
mod servers;
mod soak;
mod starting;
mod throughput;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Disk,
    Mqtt,
    Idle,
    Latency,
    Engine,
    Nexmark,
    Riotbench,
    Start,
    Recovery,
    History,
    Rules,
    /// Only when it is named: Flink has to be installed.
    Flink,
    /// Only when it is named: no measurement, and it takes its time.
    Soak,
}

/// Measures Springhouse beside its peers.
#[derive(Parser)]
struct Arguments {
    /// The parts to measure; all of them when none is named.
    parts: Vec<Part>,
    /// The release build of the program.
    #[arg(long, env = "SPRINGHOUSE_BIN")]
    springhouse: PathBuf,
    /// Debian's mosquitto; its rows are left out when it is not there.
    #[arg(long, default_value = "/usr/sbin/mosquitto")]
    mosquitto: PathBuf,
    /// Measure Flink too, beside all parts that are measured.
    #[arg(long)]
    flink: bool,
    /// A Python with apache-flink, for the part `flink`; `bench/run.sh` installs one.
    #[arg(long, env = "FLINK_PYTHON")]
    flink_python: Option<PathBuf>,
    /// The program that runs a query as a Flink job.
    #[arg(long, default_value = "bench/flink/job.py")]
    flink_job: PathBuf,
    /// Folder for data directories; should lie on the disk that a hub would use.
    #[arg(long, default_value = "/var/tmp")]
    scratch: PathBuf,
    /// Seconds of load for each throughput row.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Publishers and unacknowledged messages of each, for the throughput rows.
    #[arg(long, value_delimiter = ',', default_value = "100x16,100x1,1x100,1x1")]
    loads: Vec<throughput::Load>,
    /// Events of the input of the engine, of Nexmark and of RIoTBench.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Connections held open in the idle part.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Size of the log over which a killed hub is started again; the scratch folder needs twice as much.
    #[arg(long, default_value_t = 10)]
    log_gb: u64,
    /// Devices whose month is stored in the history part.
    #[arg(long, default_value_t = 1_000)]
    devices: u64,
    /// Rules of the rules part.
    #[arg(long, default_value_t = 2_000)]
    rules: usize,
    /// Minutes of the soak.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Where the chance of the soak begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What a person types to get this report, for its head.
    #[arg(long, default_value = "springhouse-bench")]
    recipe: String,
    /// Markdown file to write.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    if arguments.parts.contains(&Part::Soak) {
        return runtime.block_on(soak::run(&arguments));
    }
    let mut report = report::Report::begin(&arguments)?;
    runtime.block_on(measure(&arguments, &mut report))?;
    report.finish(arguments.out.as_deref())
}

async fn measure(arguments: &Arguments, report: &mut report::Report) -> Result<()> {
    let wanted = |part: Part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    if wanted(Part::Disk) {
        disk::measure(arguments, report)?;
    }
    if wanted(Part::Mqtt) {
        throughput::measure(arguments, report).await?;
    }
    if wanted(Part::Idle) {
        idle::measure(arguments, report).await?;
    }
    if wanted(Part::Latency) {
        latency::measure(arguments, report).await?;
    }
    if wanted(Part::Engine) {
        engine::measure(arguments, report).await?;
    }
    if arguments.flink || arguments.parts.contains(&Part::Flink) {
        flink::measure(arguments, report)?;
    }
    if wanted(Part::Nexmark) {
        nexmark::measure(arguments, report)?;
    }
    if wanted(Part::Riotbench) {
        riotbench::measure(arguments, report)?;
    }
    if wanted(Part::Start) {
        starting::measure(arguments, report).await?;
    }
    if wanted(Part::Recovery) {
        recovery::measure(arguments, report).await?;
    }
    if wanted(Part::History) {
        history::measure(arguments, report).await?;
    }
    if wanted(Part::Rules) {
        rules::measure(arguments, report).await?;
    }
    Ok(())
}
