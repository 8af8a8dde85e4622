//! `springhouse quarantine`: what did not fit.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{Client, Connection, query_part};
use crate::table;

const LONG: &str = "\
A message that does not fit its schema is kept whole, with reason, device and time. After the schema has been mended it \
can be replayed; what fits then becomes part of its stream.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
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
    /// The newest messages
    List {
        #[arg(long)]
        stream: Option<String>,
        #[arg(long)]
        device: Option<String>,
        /// Code of the reason, for example wrong_type
        #[arg(long)]
        reason: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Try again: these messages, or all of a stream
    Replay(Which),
    /// Delete for good: these messages, or all of a stream
    Purge(Which),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Ids, as `list` shows them
    ids: Vec<String>,
    #[arg(long)]
    stream: Option<String>,
}

impl Which {
    fn body(&self) -> Value {
        match &self.stream {
            Some(stream) => json!({ "stream": stream }),
            None => json!({ "ids": self.ids }),
        }
    }
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    match args.action {
        Action::List { stream, device, reason, limit } => {
            let query = query_part(&[
                ("stream", stream),
                ("device", device),
                ("reason", reason),
                ("limit", Some(limit.to_string())),
            ]);
            let answer = client.get(&format!("/quarantine{query}"))?;
            match answer.get("items") {
                Some(items) if !args.json => {
                    table::print_objects(&["id", "received", "stream", "device", "reason", "detail"], items)?;
                }
                _ => table::print_json(&answer)?,
            }
        }
        Action::Replay(which) => {
            let answer = client.post("/quarantine/replay", &which.body())?;
            if args.json {
                table::print_json(&answer)?;
            } else {
                let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
                println!("{} replayed, {} still do not fit", count("replayed"), count("still_failing"));
            }
        }
        Action::Purge(which) => {
            client.post("/quarantine/purge", &which.body())?;
            println!("purged");
        }
    }
    Ok(())
}
