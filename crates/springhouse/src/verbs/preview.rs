//! `springhouse pipeline preview`: what a statement would give, without creating anything.

use anyhow::Context;
use serde_json::{Value, json};

use super::sql::{print_answer, text_or_stdin};
use super::steps;
use crate::client::Client;
use crate::table;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A CREATE PIPELINE or CREATE ALERT statement or its SELECT, `-` for standard input
    sql: String,
    /// How far back to look
    #[arg(long, default_value_t = 15)]
    minutes: u32,
    /// Most rows to return
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Rows of a stream in the place of those of the last minutes: lines of JSON with ts, device and site, `-` for standard
    /// input
    #[arg(long, value_name = "STREAM=FILE")]
    sample: Vec<String>,
    /// Also show what each step hands on
    #[arg(long)]
    steps: bool,
}

pub fn carry_out(client: &Client, args: &Args, is_json: bool) -> anyhow::Result<()> {
    let sql = text_or_stdin(&args.sql)?;
    let mut body = json!({ "sql": sql, "minutes": args.minutes, "limit": args.limit, "steps": args.steps });
    if !args.sample.is_empty() {
        let samples = args.sample.iter().map(|of| read_sample(of));
        body["sample"] = Value::Object(samples.collect::<Result<_, _>>()?);
    }
    let answer = client.post("/pipelines/preview", &body)?;
    if is_json {
        table::print_json(&answer)?;
        return Ok(());
    }
    steps::print(&answer["steps"])?;
    print_answer(&answer)?;
    if let Some(why) = answer["why_broken"].as_str() {
        eprintln!("{} rows have no value and would be in quarantine, the first: {why}", answer["broken"]);
    }
    Ok(())
}

/// `meter=file.ndjson`: the stream, and the rows of the file.
fn read_sample(of: &str) -> anyhow::Result<(String, Value)> {
    let (stream, path) =
        of.split_once('=').with_context(|| format!("--sample {of}: expected STREAM=FILE"))?;
    let text = match path {
        "-" => std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?,
        path => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?,
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| {
        serde_json::from_str::<Value>(line).with_context(|| format!("{path}, line {}: no JSON", at + 1))
    });
    Ok((stream.to_owned(), Value::Array(rows.collect::<Result<_, _>>()?)))
}
