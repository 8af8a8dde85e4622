//! `springhouse device`: the devices of a hub and their tokens.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{Client, Connection, path_part};
use crate::table;

const LONG: &str = "\
Devices register themselves with their first message and, by policy, wait for approval. A device that is added here \
gets a token of its own: its MQTT password, shown once, stored as a hash, revocable. Where the hub listens over TLS, a \
device can have a certificate instead, which it gets with a claim code (EST, RFC 7030).";

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
    /// All devices with state and streams
    List,
    /// One device with its last values
    Show { device: String },
    /// Register a device; its token is the last line
    Add {
        device: String,
        /// Home, plant or ward it belongs to
        #[arg(long)]
        site: Option<String>,
    },
    /// Give a device a new token; the old one ends. The token is the last line
    Token { device: String },
    /// Revoke the token of a device
    Revoke { device: String },
    /// Make a code for the first certificate of a device, good once and for a day. The code is the last line
    Claim { device: String },
    /// The certificates of a device
    Certificates { device: String },
    /// Revoke the certificates of a device, or the one with this serial: it is disconnected at once
    RevokeCertificates {
        device: String,
        #[arg(long)]
        serial: Option<String>,
    },
    /// Let a waiting device in
    Approve { device: String },
    /// Turn a device away
    Refuse { device: String },
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    let of = |device: &str| format!("/devices/{}", path_part(device));
    match args.action {
        Action::List => {
            let devices = client.get("/devices")?;
            if args.json {
                table::print_json(&devices)?;
            } else {
                table::print_objects(&["id", "site", "state", "online", "last_seen", "streams"], &devices)?;
            }
        }
        Action::Show { device } => {
            let device = client.get(&of(&device))?;
            match device.get("latest") {
                Some(latest) if !args.json => {
                    table::print_objects(&["stream", "property", "value", "unit", "ts"], latest)?;
                }
                _ => table::print_json(&device)?,
            }
        }
        Action::Add { device, site } => {
            let added = client.post("/devices", &json!({ "id": device, "site": site }))?;
            print_token(&format!("device `{device}` is registered; its token, shown this once:"), &added);
        }
        Action::Token { device } => {
            let rotated = client.post(&format!("{}/token", of(&device)), &json!({}))?;
            print_token(&format!("the new token of `{device}`, shown this once:"), &rotated);
        }
        Action::Revoke { device } => {
            client.delete(&format!("{}/token", of(&device)))?;
            println!("the token of `{device}` is revoked");
        }
        Action::Claim { device } => {
            let made = client.post(&format!("{}/claim", of(&device)), &json!({}))?;
            eprintln!("the claim code of `{device}`, shown this once, good once and for a day:");
            println!("{}", made.get("claim").and_then(Value::as_str).unwrap_or_default());
        }
        Action::Certificates { device } => {
            let certificates = client.get(&format!("{}/certificates", of(&device)))?;
            if args.json {
                table::print_json(&certificates)?;
            } else {
                table::print_objects(&["serial", "issued_at", "not_after", "revoked_at"], &certificates)?;
            }
        }
        Action::RevokeCertificates { device, serial } => {
            let one = serial.map(|serial| format!("/{}", path_part(&serial))).unwrap_or_default();
            client.delete(&format!("{}/certificates{one}", of(&device)))?;
            println!("revoked");
        }
        Action::Approve { device } => {
            client.post(&format!("{}/approve", of(&device)), &json!({}))?;
            println!("`{device}` is approved");
        }
        Action::Refuse { device } => {
            client.post(&format!("{}/refuse", of(&device)), &json!({}))?;
            println!("`{device}` is refused");
        }
    }
    Ok(())
}

/// The explanation goes to standard error, the token alone to standard output.
fn print_token(explanation: &str, answer: &Value) {
    eprintln!("{explanation}");
    println!("{}", answer.get("token").and_then(Value::as_str).unwrap_or_default());
}
