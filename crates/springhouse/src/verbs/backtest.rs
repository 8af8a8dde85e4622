//! `springhouse pipeline backtest`: what a pipeline has written over a time, or would have.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::sql::text_or_stdin;
use crate::client::Client;
use crate::failure::Failure;

const LONG: &str = "\
Runs a pipeline, or a statement that is none yet, over the history of its source and prints the rows whose ts lies in the \
span: those that it has written live, or would have. Nothing is created. Rows go through the same windows and watermarks \
as live, in the order in which they were received; late rows are told apart. The guide to pipelines says what can differ.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse pipeline backtest meter_1m --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z
  springhouse pipeline backtest draft.sql --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z \\
      --to-file january.ndjson --late-file january-late.ndjson";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    /// A pipeline or an alert, or a file that ends in .sql with one statement, or `-` for standard input
    #[arg(value_name = "NAME|FILE.sql")]
    what: String,
    /// Rows with a ts from here on, as RFC 3339
    #[arg(long, value_name = "TIME")]
    from: String,
    /// … and before this
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Write the rows to this file, one JSON object a line [default: standard output]
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// Write late rows to this file; otherwise they are only counted
    #[arg(long, value_name = "FILE")]
    late_file: Option<PathBuf>,
}

pub fn carry_out(client: &Client, args: &Args) -> anyhow::Result<()> {
    let mut body = json!({ "from": args.from, "to": args.to });
    match statement(&args.what)? {
        Some(statement) => body["statement"] = statement.into(),
        None => body["name"] = args.what.as_str().into(),
    }
    let answer = client.post_for("/pipelines/backtest", &body, "application/x-ndjson")?;
    let mut rows: Box<dyn Write> = match &args.to_file {
        Some(path) => create(path)?,
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    let mut why_broken = None;
    let mut late = args.late_file.as_deref().map(create).transpose()?;
    for line in BufReader::new(answer).lines() {
        let line = line.context("the hub's answer broke off")?;
        match serde_json::from_str(&line).context("the hub's answer is not what was asked for")? {
            Line::Row(row) => writeln!(rows, "{row}")?,
            Line::Late(row) => {
                if let Some(late) = &mut late {
                    writeln!(late, "{row}")?;
                }
            }
            Line::Broken(broken) => {
                why_broken.get_or_insert(broken.why);
            }
            Line::Error(error) => return Err(Failure::Refused(error).into()),
            Line::End(end) => {
                rows.flush()?;
                late.map_or(Ok(()), |mut late| late.flush())?;
                let count = |key: &str| end.get(key).and_then(Value::as_u64).unwrap_or_default();
                let (rows, late, scanned) = (count("rows"), count("late"), count("scanned"));
                eprintln!("{rows} rows and {late} late ones from {scanned} rows of the source");
                if let Some(why) = why_broken {
                    let broken = count("broken");
                    eprintln!("{broken} rows have no value and would be in quarantine, the first: {why}");
                }
                return Ok(());
            }
        }
    }
    anyhow::bail!("the hub's answer broke off before its end")
}

/// A line of the answer; rows are passed on as they were written.
#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Row(Box<RawValue>),
    Late(Box<RawValue>),
    Broken(Broken),
    End(Value),
    Error(String),
}

/// A row that an expression has no value for.
#[derive(serde::Deserialize)]
struct Broken {
    why: String,
}

/// The text of a file or of standard input; `None` for the name of a pipeline.
fn statement(what: &str) -> anyhow::Result<Option<String>> {
    if what == "-" {
        return text_or_stdin(what).map(Some);
    }
    let is_file = Path::new(what).extension().is_some_and(|extension| extension == "sql");
    match is_file {
        false => Ok(None),
        true => {
            let read = std::fs::read_to_string(what);
            Ok(Some(read.map_err(|error| Failure::Usage(format!("cannot read `{what}`: {error}")))?))
        }
    }
}

fn create(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}
