//! `springhouse run`: the engine over files, without a hub.

use std::io::IsTerminal;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use springhouse_engine::files::{self, RunFailure, RunOptions, Source, Target};

use super::sql::text_or_stdin;
use crate::failure::Failure;
use crate::table;

const LONG: &str = "\
Runs SQL over files or standard input with the engine of the hub: windows, watermarks and late rows are the same, and \
so are the results. Ends when the input ends; open windows close then. Each line of input is one JSON object, of which \
ts, device and site fill the columns of these names.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse run q.sql --from homes=events.ndjson --to out.ndjson --stats
  zcat big.ndjson.gz | springhouse run q.sql --from homes=- > out.ndjson
  springhouse run two.sql --from homes=a.ndjson --to hourly=hourly.ndjson --to hourly.late=late.ndjson";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    /// File with one SELECT or several statements, `-` for standard input
    #[arg(value_name = "SQL-FILE")]
    sql: PathBuf,
    /// Where the rows of a stream come from; `-` is standard input
    #[arg(long, value_name = "STREAM=FILE", required = true, value_parser = source)]
    from: Vec<(String, Source)>,
    /// Where rows go: the result, or a stream of its own [default: standard output]
    #[arg(long, value_name = "[STREAM=]FILE", value_parser = target)]
    to: Vec<(Option<String>, Target)>,
    /// Write lines that do not fit to this file, with the reason
    #[arg(long, value_name = "FILE")]
    quarantine: Option<PathBuf>,
    /// A WebAssembly component whose exports the SQL may call; several times for several
    #[arg(long, value_name = "FILE.wasm")]
    functions: Vec<PathBuf>,
    /// How late rows may be in streams that are not declared [default: 5]
    #[arg(long, value_name = "SECONDS")]
    watermark_seconds: Option<f64>,
    /// Threads that decode lines [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZero<usize>>,
    /// Print one JSON line: events, late, quarantined, rows out, seconds, memory
    #[arg(long)]
    stats: bool,
}

/// More than machines have cores would only take memory.
const THREADS_MAX: usize = 256;

fn threads(text: &str) -> Result<NonZero<usize>, String> {
    let number = text.parse().ok().filter(|number: &NonZero<usize>| number.get() <= THREADS_MAX);
    number.ok_or_else(|| format!("expected a number from 1 to {THREADS_MAX}"))
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let sql = if args.sql == Path::new("-") {
        text_or_stdin("-")?
    } else {
        std::fs::read_to_string(&args.sql)
            .map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", args.sql.display())))?
    };
    let to = if args.to.is_empty() { vec![(None, Target::Stdout)] } else { args.to };
    let results_on_stdout = to.iter().any(|(_, target)| *target == Target::Stdout);
    let options = RunOptions {
        sql,
        sql_file: Some(args.sql.clone()),
        // Tables are found from where the statements are.
        base: args.sql.parent().map(Path::to_owned).unwrap_or_default(),
        from: args.from,
        to,
        quarantine: args.quarantine.clone(),
        threads: args.threads,
        functions: args.functions,
        watermark_delay_us: args.watermark_seconds.map(|seconds| (seconds * 1e6) as i64),
    };
    let keeps_quarantine = args.quarantine.is_some();
    let spinner = spinner(results_on_stdout);
    let ran = files::run(&options);
    spinner.finish_and_clear();
    let stats = ran.map_err(|failure| match failure {
        RunFailure::Statement(_) | RunFailure::Options(_) | RunFailure::Table(_) => {
            anyhow::Error::from(Failure::Usage(format!("`{}`: {failure}", args.sql.display())))
        }
        other => other.into(),
    })?;
    if let (Some(first), false) = (&stats.first_quarantined, keeps_quarantine) {
        eprintln!(
            "{} lines did not fit and were left out, the first: {}\nhint: --quarantine FILE keeps them with their reasons",
            stats.quarantined,
            table::plain(first)
        );
    }
    if let (Some(first), false) = (&stats.first_broken, keeps_quarantine) {
        eprintln!(
            "{} rows were left out because an expression has no value for them, the first: {}\nhint: --quarantine \
             FILE keeps them with their reasons",
            stats.broken,
            table::plain(first)
        );
    }
    if args.stats {
        let line = serde_json::to_string(&stats).context("cannot write the statistics")?;
        // With the result on standard output the statistics are not part of it.
        if results_on_stdout { eprintln!("{line}") } else { println!("{line}") }
    }
    Ok(())
}

/// A sign of life for somebody who waits at a terminal.
fn spinner(results_on_stdout: bool) -> ProgressBar {
    if results_on_stdout || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} running, {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn source(text: &str) -> Result<(String, Source), String> {
    match text.split_once('=') {
        Some((stream, file)) if !stream.is_empty() && !file.is_empty() => {
            let Ok(file) = file.parse::<Source>();
            Ok((stream.to_owned(), file))
        }
        _ => Err(format!("`{text}` is not STREAM=FILE; hint: homes=events.ndjson or homes=-")),
    }
}

fn target(text: &str) -> Result<(Option<String>, Target), String> {
    let (stream, file) = match text.split_once('=') {
        Some((stream, file)) => (Some(stream.to_owned()), file),
        None => (None, text),
    };
    match file {
        "" => Err(format!("`{text}` names no file")),
        "-" => Ok((stream, Target::Stdout)),
        file => Ok((stream, Target::File(PathBuf::from(file)))),
    }
}
