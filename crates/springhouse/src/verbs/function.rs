//! `springhouse function`: expressions with a name, which statements call.

use clap::Subcommand;
use serde_json::{Value, json};

use super::sql::statements;
use crate::client::{Client, Connection, path_part};
use crate::table;

const LONG: &str = "\
A function gives an expression a name: `CREATE FUNCTION fahrenheit(celsius DOUBLE) RETURNS DOUBLE RETURN celsius * 1.8 \
+ 32`. Pipelines, alerts, queries and filters of live views call it. A pipeline goes on by the definition that it was \
created with, until CREATE OR REPLACE PIPELINE takes the present one.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse function create - < functions.sql
  springhouse function list
  springhouse function show fahrenheit";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
    /// Print what the API answers
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All functions
    List,
    /// The definition of a function, and who goes by it
    Show { function: String },
    /// Create or replace functions by their statements, `-` for standard input
    Create { sql: String },
    /// Remove a function that nothing calls
    Drop { function: String },
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    let of = |function: &str| format!("/functions/{}", path_part(function));
    match args.action {
        Action::List => {
            let functions = client.get("/functions")?;
            match args.json {
                true => table::print_json(&functions)?,
                false => {
                    table::print_objects(
                        &["name", "version", "signature", "changed_at", "error"],
                        &functions,
                    )?;
                }
            }
        }
        Action::Show { function } => table::print_json(&client.get(&of(&function))?)?,
        Action::Create { sql } => {
            for statement in statements(&sql)? {
                tell(&client.post("/functions", &json!({ "sql": statement }))?, args.json)?;
            }
        }
        Action::Drop { function } => {
            client.delete(&of(&function))?;
            println!("function `{function}` is gone");
        }
    }
    Ok(())
}

fn tell(function: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return Ok(table::print_json(function)?);
    }
    let word = |key: &str| function.get(key).and_then(Value::as_str).unwrap_or_default();
    let version = function.get("version").and_then(Value::as_u64).unwrap_or_default();
    println!("`{}` has version {version}", word("name"));
    for user in function.get("used_by").and_then(Value::as_array).into_iter().flatten() {
        if user.get("is_present").and_then(Value::as_bool) == Some(false) {
            let pipeline = user.get("pipeline").and_then(Value::as_str).unwrap_or_default();
            println!("`{pipeline}` goes on by another version, until CREATE OR REPLACE takes this one");
        }
    }
    Ok(())
}
