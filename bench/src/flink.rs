//! Apache Flink beside `springhouse run`: the same queries over the same files, one after the other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::engine::{QUERIES, SCHEMA};
use crate::report::Report;
use crate::run::Threads;
use crate::{Arguments, run};

/// The longer input has so many times the events of the shorter one.
const LONGER: u64 = 5;

/// What a job took.
struct Job {
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_rss_mb: f64,
}

/// What came out of it: how many rows, and how many events are counted in them.
struct Outcome {
    rows: f64,
    counted: f64,
}

/// A query over both inputs.
struct Pair([Job; 2]);

impl Pair {
    /// CPU seconds per million events of the longer input, the start of the process included.
    fn whole(&self, events: f64) -> f64 {
        self.0[1].cpu_seconds * 1e6 / (events * LONGER as f64)
    }

    /// CPU seconds for each further million.
    fn steady(&self, events: f64) -> f64 {
        (self.0[1].cpu_seconds - self.0[0].cpu_seconds) * 1e6 / (events * (LONGER - 1) as f64)
    }
}

pub fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let python = arguments.flink_python.as_deref().context(
        "the part `flink` needs a Python with apache-flink; hint: make bench ARGS=flink installs one, --flink-python names it",
    )?;
    report.section(
        "Engine, beside Apache Flink",
        "The queries and events of the section on the engine, by `springhouse run` and by a Flink SQL job of the same words (`bench/flink/job.py`: \
         one slot, state on the heap of 512 MB, object reuse, no checkpoints, rows into `blackhole`; ours are written as JSON to `/dev/null`). CPU seconds \
         and memory are those of the process that computes, Flink's Java process, from its start; the wall time of a Flink job is without that start. \
         *Whole* is the longer input with the start of the process, *steady* what each further million costs between the shorter and the longer input, which holds what the JVM still compiles meanwhile.",
    );
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
    let inputs = [folder.path().join("short.ndjson"), folder.path().join("long.ndjson")];
    let sizes = [arguments.events, arguments.events * LONGER];
    for (input, events) in inputs.iter().zip(sizes) {
        run::generate(arguments, "--print-events", events, input)?;
    }
    report.table(&["query", "system", "events", "CPU s", "wall s", "peak RSS MB"]);
    let mut pairs = Vec::new();
    for (name, query) in QUERIES {
        let sql = format!("{SCHEMA}{query};\n");
        let ours = pair(|at| ran(arguments, &sql, &inputs[at]))?;
        let theirs = pair(|at| job(&job_of(arguments, python, name, &inputs[at], None)?))?;
        for (system, pair) in [("springhouse", &ours), ("Flink", &theirs)] {
            for (job, events) in pair.0.iter().zip(sizes) {
                report.row(&[
                    name.to_owned(),
                    system.to_owned(),
                    events.to_string(),
                    format!("{:.1}", job.cpu_seconds),
                    format!("{:.1}", job.wall_seconds),
                    format!("{:.0}", job.peak_rss_mb),
                ]);
            }
        }
        pairs.push((name, ours, theirs));
    }
    ratios(arguments, report, &pairs);
    outcomes(arguments, report, python, &inputs[0], folder.path())
}

fn ratios(arguments: &Arguments, report: &mut Report, pairs: &[(&str, Pair, Pair)]) {
    report.table(&[
        "CPU s per million",
        "springhouse, whole",
        "Flink, whole",
        "ratio",
        "springhouse, steady",
        "Flink, steady",
        "ratio",
    ]);
    let events = arguments.events as f64;
    for (name, ours, theirs) in pairs {
        let two = |ours: f64, theirs: f64| {
            [format!("{ours:.2}"), format!("{theirs:.2}"), format!("{:.1}", theirs / ours)]
        };
        let whole = two(ours.whole(events), theirs.whole(events));
        let steady = two(ours.steady(events), theirs.steady(events));
        report.row(&[vec![(*name).to_owned()], whole.to_vec(), steady.to_vec()].concat());
    }
}

/// What came out on both sides, over the shorter input; these runs are not measured.
fn outcomes(
    arguments: &Arguments,
    report: &mut Report,
    python: &Path,
    input: &Path,
    folder: &Path,
) -> Result<()> {
    report.table(&[
        "what came out of the shorter input",
        "rows: springhouse",
        "rows: Flink",
        "events counted in them: springhouse",
        "events counted in them: Flink",
    ]);
    for (name, query) in QUERIES {
        let out = folder.join("out.ndjson");
        run::run(arguments, Threads::All, &format!("{SCHEMA}{query};\n"), "src", input, &out)?;
        let ours = outcome(&out)?;
        let rows = folder.join(short(name));
        let told = job_of(arguments, python, name, input, Some(&rows))?;
        let theirs = Outcome { rows: number(&told, "rows_out")?, counted: number(&told, "counted")? };
        let cells =
            [ours.rows, theirs.rows, ours.counted, theirs.counted].map(|number| format!("{number:.0}"));
        report.row(&[vec![name.to_owned()], cells.to_vec()].concat());
    }
    report.words(
        "A row that comes behind the watermark is counted by both as long as a window that holds it is open. Here the watermark is taken before each row; \
         Flink takes it anew every 200 ms of the wall clock, so that a few rows find a window open there that is complete here, more of them on a slower machine. \
         Here they are in a stream of late rows, there they are dropped.",
    );
    Ok(())
}

/// `q0` of `q0 filter + project`, which is how the job calls it.
fn short(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

fn pair(mut measured: impl FnMut(usize) -> Result<Job>) -> Result<Pair> {
    Ok(Pair([measured(0)?, measured(1)?]))
}

fn ran(arguments: &Arguments, sql: &str, events: &Path) -> Result<Job> {
    let ran = run::run(arguments, Threads::All, sql, "src", events, Path::new("/dev/null"))?;
    Ok(Job { cpu_seconds: ran.cpu_seconds, wall_seconds: ran.wall_seconds, peak_rss_mb: ran.peak_rss_mb })
}

fn job(told: &Value) -> Result<Job> {
    Ok(Job {
        cpu_seconds: number(told, "cpu_seconds")?,
        wall_seconds: number(told, "wall_seconds")?,
        peak_rss_mb: number(told, "peak_rss_mb")?,
    })
}

/// What a Flink job tells of itself.
fn job_of(
    arguments: &Arguments,
    python: &Path,
    name: &str,
    events: &Path,
    rows: Option<&Path>,
) -> Result<Value> {
    let mut command = Command::new(python);
    command.arg(&arguments.flink_job).arg(short(name)).arg(events);
    if let Some(rows) = rows {
        command.arg("--rows").arg(rows);
    }
    let output = command.output().context("cannot start Python")?;
    if !output.status.success() {
        bail!("Flink's {name} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    run::last_object(&output.stdout).context("Flink's job told nothing")
}

fn number(told: &Value, key: &str) -> Result<f64> {
    told[key].as_f64().with_context(|| format!("`{key}` is missing in {told}"))
}

fn outcome(rows: &Path) -> Result<Outcome> {
    let mut found = Outcome { rows: 0.0, counted: 0.0 };
    for line in BufReader::new(fs::File::open(rows)?).lines() {
        let row: Value = serde_json::from_str(&line?)?;
        found.rows += 1.0;
        // A row that is no window stands for one event.
        found.counted += row["n"].as_f64().unwrap_or(1.0);
    }
    Ok(found)
}
