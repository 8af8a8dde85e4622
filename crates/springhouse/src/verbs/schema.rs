//! `springhouse schema`: the types of a stream.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;

use crate::client::{Client, Connection, path_part};
use crate::failure::Failure;
use crate::table;

const LONG: &str = "\
A stream has a schema: which properties its messages have, of which type and unit, and whether others are allowed. It \
is written as JSON Schema. Every change is a version; messages that were quarantined can be replayed after it.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The JSON Schema of a stream, as `set` takes it
    Show {
        stream: String,
        /// All versions, with their columns
        #[arg(long)]
        versions: bool,
    },
    /// Make a JSON Schema file the next version of a stream's schema; `-` for standard input
    Set { stream: String, file: PathBuf },
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    let of = |stream: &str| format!("/streams/{}/schema", path_part(stream));
    match args.action {
        Action::Show { stream, versions } => {
            let all = client.get(&of(&stream))?;
            table::print_json(all.get("json_schema").filter(|_| !versions).unwrap_or(&all))?;
        }
        Action::Set { stream, file } => {
            let answer = client.put(&of(&stream), &read_json(&file)?)?;
            let version = answer.get("version").or_else(|| answer.get("schema_version"));
            let version =
                version.and_then(Value::as_u64).map(|v| format!(", version {v}")).unwrap_or_default();
            println!("the schema of `{stream}` is set{version}");
        }
    }
    Ok(())
}

/// A file that must hold JSON.
pub fn read_json(path: &PathBuf) -> anyhow::Result<Value> {
    let read = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text = read.with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("`{}` is not JSON: {error}", path.display())).into())
}
