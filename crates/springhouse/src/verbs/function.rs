//! `springhouse function`: expressions with a name and components, which statements call.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::sql::statements;
use crate::client::{Client, Connection, path_part};
use crate::failure::Failure;
use crate::table;

const LONG: &str = "\
A function gives an expression a name: `CREATE FUNCTION fahrenheit(celsius DOUBLE) RETURNS DOUBLE RETURN celsius * 1.8 \
+ 32`. Pipelines, alerts, queries and filters of live views call it. A pipeline goes on by the definition that it was \
created with, until CREATE OR REPLACE PIPELINE takes the present one.

Functions in other languages are WebAssembly components: `function add` makes one of each function that a component exports.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse function create - < functions.sql
  springhouse function add dewpoint.wasm
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
    /// Create or replace functions by a WebAssembly component that exports them
    Add {
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,
    },
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
                        &["name", "language", "version", "signature", "changed_at", "error"],
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
        Action::Add { file } => {
            let bytes = std::fs::read(&file)
                .map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))?;
            let added = client.post_bytes("/components", bytes, "application/wasm")?;
            match args.json {
                true => table::print_json(&added)?,
                false => {
                    for function in added.as_array().into_iter().flatten() {
                        tell(function, false)?;
                    }
                }
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
