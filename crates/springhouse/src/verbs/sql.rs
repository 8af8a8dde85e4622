//! `springhouse sql`: a question to a running hub.

use std::io::{self, Read};

use anyhow::Context;
use serde_json::{Value, json};
use springhouse_engine::statement;

use crate::client::{Client, Connection};
use crate::table;

const LONG: &str = "\
Sends SQL to a hub: a question, or statements with `;` between them, which are carried out one after the other. A \
stream is a table of its own name with the columns ts, device, site and its properties; `devices` and `twin` (last \
values) are tables too. Statements that change something (CREATE PIPELINE, CREATE ALERT, …) need a token with scope \
write.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse sql 'SELECT device, max(power) AS peak FROM meter GROUP BY device ORDER BY peak DESC LIMIT 10'
  springhouse sql --format csv 'SELECT * FROM climate WHERE ts > now() - INTERVAL 1 HOUR' > climate.csv
  springhouse sql - < question.sql";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    /// The statements, or `-` for standard input
    query: String,
    /// Form of the result; all but `table` and `json` are passed through as they come
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Ndjson,
    Csv,
    /// Arrow IPC stream
    Arrow,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    statements(&args.query)?.iter().try_for_each(|statement| ask(&client, statement, args.format))
}

fn ask(client: &Client, statement: &str, format: Format) -> anyhow::Result<()> {
    let body = json!({ "query": statement });
    let accept = match format {
        Format::Table | Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv",
        Format::Arrow => "application/vnd.apache.arrow.stream",
    };
    match format {
        Format::Table => print_answer(&client.post("/sql", &body)?),
        Format::Json => Ok(table::print_json(&client.post("/sql", &body)?)?),
        Format::Ndjson | Format::Csv | Format::Arrow => {
            let mut answer = client.post_for("/sql", &body, accept)?;
            io::copy(&mut answer, &mut io::stdout().lock()).context("cannot pass the result on")?;
            Ok(())
        }
    }
}

/// A result with columns and rows as a table, the outcome of a statement as a sentence.
pub fn print_answer(answer: &Value) -> anyhow::Result<()> {
    if let Some(message) = answer.get("message").and_then(Value::as_str) {
        println!("{message}");
        return Ok(());
    }
    let rows = print_rows(answer)?;
    let truncated = answer.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    let note = if truncated { ", more were left off; hint: --format csv gives all" } else { "" };
    let took = answer.get("took_ms").map(|ms| format!(" in {ms} ms")).unwrap_or_default();
    let noun = if rows == 1 { "row" } else { "rows" };
    eprintln!("{rows} {noun}{took}{note}");
    Ok(())
}

/// Prints `rows` under their `columns` and returns how many there are.
pub fn print_rows(answer: &Value) -> anyhow::Result<usize> {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let columns: Vec<String> = list("columns")
        .iter()
        .map(|column| column.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
        .collect();
    let rows: Vec<Vec<Value>> =
        list("rows").into_iter().map(|row| row.as_array().cloned().unwrap_or_default()).collect();
    table::print(&columns, &rows)?;
    Ok(rows.len())
}

/// The statements of an argument or, when it is `-`, of standard input. What cannot be read is passed on whole: the hub
/// says what is wrong with it.
pub fn statements(argument: &str) -> anyhow::Result<Vec<String>> {
    let text = text_or_stdin(argument)?;
    Ok(statement::split(&text).ok().filter(|texts| !texts.is_empty()).unwrap_or_else(|| vec![text]))
}

/// The argument itself, or standard input when it is `-`.
pub fn text_or_stdin(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}
