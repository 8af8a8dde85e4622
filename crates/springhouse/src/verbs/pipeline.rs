//! `springhouse pipeline`: SQL that runs for ever.

use clap::Subcommand;
use serde_json::{Value, json};

use super::sql::{print_answer, statements, text_or_stdin};
use crate::client::{Client, Connection, path_part};
use crate::table;

const LONG: &str = "\
A pipeline is a SQL statement from streams to a stream, or to an alert; it runs until it is dropped, survives restarts \
exactly, and its results depend on the data alone.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse pipeline preview 'SELECT device, avg(power) AS watts FROM TUMBLE(meter, ts, INTERVAL 1 MINUTE)
      GROUP BY device, window_start, window_end'
  springhouse pipeline create - < pipelines/meter_1m.sql
  springhouse pipeline pause meter_1m";

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
    /// Create pipelines and alerts from their statements, `-` for standard input
    Create { sql: String },
    /// Run a query over the last minutes without creating anything
    Preview {
        sql: String,
        /// How far back to look
        #[arg(long, default_value_t = 15)]
        minutes: u32,
        /// Most rows to return
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
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
        Action::Create { sql } => {
            for statement in statements(&sql)? {
                let answer = client.post("/pipelines", &json!({ "sql": statement }))?;
                let name = answer.get("name").and_then(Value::as_str).unwrap_or("it");
                println!("`{name}` is running");
            }
        }
        Action::Preview { sql, minutes, limit } => {
            let body = json!({ "sql": text_or_stdin(&sql)?, "minutes": minutes, "limit": limit });
            let answer = client.post("/pipelines/preview", &body)?;
            if args.json {
                table::print_json(&answer)?;
            } else {
                print_answer(&answer)?;
            }
        }
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
