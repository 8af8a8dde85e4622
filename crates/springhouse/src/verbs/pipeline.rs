//! `springhouse pipeline`: SQL that runs for ever.

use clap::Subcommand;
use serde_json::{Value, json};

use super::sql::statements;
use super::{apply, backtest, preview, tap};
use crate::client::{Client, Connection, path_part};
use crate::table;

const LONG: &str = "\
A pipeline is a SQL statement from streams to a stream, or to an alert; it runs until it is dropped, survives restarts \
exactly, and its results depend on the data alone.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse pipeline preview 'SELECT device, avg(power) AS watts FROM TUMBLE(meter, ts, INTERVAL 1 MINUTE)
      GROUP BY device, window_start, window_end'
  springhouse pipeline preview --steps --sample meter=yesterday.ndjson - < draft.sql
  springhouse pipeline tap meter_1m
  springhouse pipeline create - < pipelines/meter_1m.sql
  springhouse pipeline create --dry-run 'CREATE OR REPLACE PIPELINE meter_1m INTO …'
  springhouse pipeline versions meter_1m
  springhouse pipeline rollback meter_1m --to 3
  springhouse pipeline backtest meter_1m --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z
  springhouse pipeline apply pipelines/ --plan
  springhouse pipeline pause meter_1m

CHANGING A PIPELINE
  CREATE OR REPLACE keeps the state of every operator that computes, with all before it, what it did. The others read
  again what they need of the log, so that windows that are open stay whole. The answer says which do what; --dry-run
  says it without changing anything.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All pipelines and alerts with rate, lag and watermark
    List,
    /// One pipeline with its SQL
    Show { name: String },
    /// Create or replace pipelines and alerts by their statements, `-` for standard input
    Create {
        sql: String,
        /// Only tell what would be done, and which operators would keep their state
        #[arg(long)]
        dry_run: bool,
    },
    /// The statements that a pipeline has had, the present one first
    Versions { name: String },
    /// Make the statement of an older version the present one
    Rollback {
        name: String,
        /// Which version; the one before the present one when left out
        #[arg(long, value_name = "VERSION")]
        to: Option<u32>,
    },
    /// Run a query over the last minutes, or over rows of your own, without creating anything
    Preview(preview::Args),
    /// Look into a running pipeline: what each step hands on during some seconds
    Tap(tap::Args),
    /// Run a pipeline over the history of its source without creating anything
    Backtest(backtest::Args),
    /// Make a folder of SQL files the truth about pipelines and alerts
    Apply(apply::Args),
    /// Stop a pipeline where it is
    Pause { name: String },
    /// Let a paused or failed pipeline go on from where it stopped
    Resume { name: String },
    /// Remove a pipeline; the stream it wrote stays
    Drop { name: String },
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    let of = |name: &str| format!("/pipelines/{}", path_part(name));
    match args.action {
        Action::List => {
            let pipelines = client.get("/pipelines")?;
            if args.json {
                table::print_json(&pipelines)?;
            } else {
                let keys = [
                    "name",
                    "kind",
                    "into",
                    "state",
                    "rows_in",
                    "rows_out",
                    "late",
                    "lag_records",
                    "watermark",
                ];
                table::print_objects(&keys, &pipelines)?;
            }
        }
        Action::Show { name } => table::print_json(&client.get(&of(&name))?)?,
        Action::Create { sql, dry_run } => {
            for statement in statements(&sql)? {
                let body = json!({ "sql": statement, "dry_run": dry_run });
                tell(&client.post("/pipelines", &body)?, args.json)?;
            }
        }
        Action::Versions { name } => {
            let versions = client.get(&format!("{}/versions", of(&name)))?;
            match args.json {
                true => table::print_json(&versions)?,
                false => table::print_objects(&["version", "created_at", "by", "sql"], &versions)?,
            }
        }
        Action::Rollback { name, to } => {
            tell(&client.post(&format!("{}/rollback", of(&name)), &json!({ "version": to }))?, args.json)?;
        }
        Action::Preview(of) => preview::carry_out(&client, &of, args.json)?,
        Action::Tap(of) => tap::carry_out(&client, &of, args.json)?,
        Action::Backtest(args) => backtest::carry_out(&client, &args)?,
        Action::Apply(args) => apply::carry_out(&client, &args)?,
        Action::Pause { name } => {
            client.post(&format!("{}/pause", of(&name)), &json!({}))?;
            println!("`{name}` is paused");
        }
        Action::Resume { name } => {
            client.post(&format!("{}/resume", of(&name)), &json!({}))?;
            println!("`{name}` is running");
        }
        Action::Drop { name } => {
            client.delete(&of(&name))?;
            println!("`{name}` is dropped");
        }
    }
    Ok(())
}

/// What a statement has done or would do.
fn tell(answer: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return Ok(table::print_json(answer)?);
    }
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let change = answer.get("change").filter(|change| change.is_object());
    match change.and_then(|change| word(change, "message")) {
        Some(message) => println!("{message}"),
        None => match word(answer, "message") {
            Some(message) => println!("{}: {message}", word(answer, "change").unwrap_or_default()),
            None => println!("`{}` exists already", word(answer, "name").unwrap_or_default()),
        },
    }
    Ok(())
}
