//! `springhouse table`: data beside the streams, which statements look up.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use springhouse_engine::statement::RowFormat;

use crate::client::{Client, Connection, path_part};
use crate::failure::Failure;
use crate::table;

const LONG: &str = "\
A reference table holds rooms, customers, tariffs or limits: `CREATE TABLE rooms (device TEXT, room TEXT, PRIMARY KEY \
(device))` by `springhouse sql` creates one, and `load` gives it its rows. Pipelines see them from then on; a table with \
a source of its own is read again by `refresh`.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
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
    /// All tables
    List,
    /// The columns of a table
    Show { table: String },
    /// Replace the rows of a table by those of a file: .csv, .ndjson or .parquet
    Load { table: String, file: PathBuf },
    /// Read the source of a table again
    Refresh { table: String },
    /// Remove a table that no pipeline looks up
    Drop { table: String },
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    let of = |table: &str| format!("/tables/{}", path_part(table));
    match args.action {
        Action::List => {
            let tables = client.get("/tables")?;
            match args.json {
                true => table::print_json(&tables)?,
                false => {
                    let keys = ["name", "rows", "version", "source", "changed_at", "error"];
                    table::print_objects(&keys, &tables)?;
                }
            }
        }
        Action::Show { table } => {
            let found = client.get(&of(&table))?;
            match found.get("columns") {
                Some(columns) if !args.json => {
                    table::print_objects(&["name", "type", "required", "unit"], columns)?
                }
                _ => table::print_json(&found)?,
            }
        }
        Action::Load { table, file } => {
            let rows = std::fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
            let loaded = client.put_bytes(&format!("{}/rows", of(&table)), rows, content_type(&file)?)?;
            tell(&table, &loaded, args.json)?;
        }
        Action::Refresh { table } => {
            let loaded = client.post(&format!("{}/refresh", of(&table)), &json!({}))?;
            tell(&table, &loaded, args.json)?;
        }
        Action::Drop { table } => {
            client.delete(&of(&table))?;
            println!("table `{table}` is gone");
        }
    }
    Ok(())
}

fn content_type(file: &Path) -> anyhow::Result<&'static str> {
    match RowFormat::of_name(&file.display().to_string()) {
        Some(RowFormat::Csv) => Ok("text/csv"),
        Some(RowFormat::Ndjson) => Ok("application/x-ndjson"),
        Some(RowFormat::Parquet) => Ok("application/vnd.apache.parquet"),
        None => {
            let text = format!("`{}` ends in none of .csv, .ndjson and .parquet", file.display());
            Err(Failure::Usage(text).into())
        }
    }
}

fn tell(table: &str, loaded: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return Ok(table::print_json(loaded)?);
    }
    let number = |key: &str| loaded.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (rows, version) = (number("rows"), number("version"));
    match loaded.get("changed").and_then(Value::as_bool) {
        Some(true) => println!("`{table}` has version {version}, with {rows} rows"),
        _ => println!("`{table}` has these {rows} rows already"),
    }
    Ok(())
}
