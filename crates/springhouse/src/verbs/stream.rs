//! `springhouse stream`: the typed series of readings and results.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use super::schema::read_json;
use crate::client::{Client, Connection, path_part, query_part};
use crate::failure::Failure;
use crate::{runtime, table};

const LONG: &str = "\
A stream is a named, typed series of rows and a table of the same name in SQL. Streams come into being with the first \
message on devices/{device}/{stream}, by declaration, or as results of pipelines.";

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
    /// All streams with rows and rate
    List,
    /// One stream with its columns
    Show { stream: String },
    /// Declare a stream before its first message
    Create {
        stream: String,
        /// JSON Schema of its messages
        #[arg(long, value_name = "FILE")]
        schema: Option<PathBuf>,
        /// How late a row may be before windows close without it
        #[arg(long, value_name = "SECONDS")]
        watermark_seconds: Option<f64>,
    },
    /// Let a waiting stream in
    Approve { stream: String },
    /// Turn a stream away: what comes for it goes to quarantine
    Refuse { stream: String },
    /// Remove a stream with its rows
    Drop { stream: String },
    /// Follow rows as they come, one JSON object a line, until interrupted
    Tail {
        /// Streams to follow
        #[arg(required = true)]
        streams: Vec<String>,
        #[arg(long)]
        device: Option<String>,
        /// SQL condition, for example 'power > 2000'
        #[arg(long, value_name = "SQL")]
        filter: Option<String>,
        /// End after so many rows
        #[arg(long, value_name = "ROWS")]
        limit: Option<u64>,
    },
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    let of = |stream: &str| format!("/streams/{}", path_part(stream));
    match args.action {
        Action::List => {
            let streams = client.get("/streams")?;
            if args.json {
                table::print_json(&streams)?;
            } else {
                let keys = ["name", "state", "origin", "rows", "rows_per_minute", "devices", "last_at"];
                table::print_objects(&keys, &streams)?;
            }
        }
        Action::Show { stream } => {
            let stream = client.get(&of(&stream))?;
            match stream.get("columns") {
                Some(columns) if !args.json => table::print_objects(&["name", "type", "unit"], columns)?,
                _ => table::print_json(&stream)?,
            }
        }
        Action::Create { stream, schema, watermark_seconds } => {
            let schema = schema.as_ref().map(read_json).transpose()?;
            let mut body = json!({ "name": stream });
            for (key, value) in
                [("json_schema", schema), ("watermark_seconds", watermark_seconds.map(Value::from))]
            {
                if let Some(value) = value {
                    body[key] = value;
                }
            }
            client.post("/streams", &body)?;
            println!("`{stream}` is declared");
        }
        Action::Approve { stream } => {
            client.post(&format!("{}/approve", of(&stream)), &json!({}))?;
            println!("`{stream}` is approved");
        }
        Action::Refuse { stream } => {
            client.post(&format!("{}/refuse", of(&stream)), &json!({}))?;
            println!("`{stream}` is refused");
        }
        Action::Drop { stream } => {
            client.delete(&of(&stream))?;
            println!("`{stream}` is dropped");
        }
        Action::Tail { streams, device, filter, limit } => {
            let query =
                query_part(&[("stream", Some(streams.join(","))), ("device", device), ("filter", filter)]);
            runtime::run_client(tail(&client, &query, limit.unwrap_or(u64::MAX)))?;
        }
    }
    Ok(())
}

async fn tail(client: &Client, query: &str, limit: u64) -> anyhow::Result<()> {
    let url = format!("{}/api/v1/tail{query}", client.base().replacen("http", "ws", 1));
    let mut request = url.into_client_request().context("cannot make a request of the URL")?;
    if let Some(token) = client.token() {
        let value =
            format!("Bearer {token}").parse().map_err(|_| Failure::Usage("the token is not one".into()))?;
        request.headers_mut().insert("authorization", value);
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.map_err(|error| match error {
        WebSocketError::Http(answer) => {
            let body = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            Failure::Refused(format!("the hub refuses to be followed ({}): {body}", answer.status()))
        }
        other => Failure::Unreachable { url: client.base().to_owned(), reason: other.to_string() },
    })?;
    let mut printed = 0;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.context("the connection broke")? else { continue };
        let frame: Value = serde_json::from_str(&text).context("the hub's frame is not JSON")?;
        for row in frame.get("rows").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
            println!("{row}");
            printed += 1;
            if printed >= limit {
                return Ok(());
            }
        }
        if let Some(dropped) = frame.get("dropped").and_then(Value::as_u64).filter(|dropped| *dropped > 0) {
            eprintln!("{dropped} rows were left out: this end is too slow");
        }
    }
    Ok(())
}
