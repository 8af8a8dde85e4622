//! `springhouse token`: credentials for programs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use springhouse_meta::{Meta, NewToken, SqliteMeta};
use springhouse_model::{Clock, SystemClock, TenantId, Timestamp};
use springhouse_policy::Scope;

use crate::client::{Client, Connection, path_part};
use crate::failure::Failure;
use crate::{config, hub, runtime, table};

const LONG: &str = "\
A token is the credential of a program: as Bearer over HTTP, as password over MQTT. Its text is shown once and stored \
as a hash. On the machine of the hub `--data DIR` works directly on the data, with the hub running or not; from \
elsewhere the verbs need a token with scope admin.";

const EXAMPLES: &str = "\
SCOPES
  ingest   deliver readings for any device      read   see readings and results
  write    also create streams and pipelines    admin  everything

EXAMPLES
  springhouse token create --data /var/lib/springhouse --name zigbee --scope ingest
  TOKEN=$(springhouse token create --data ./springhouse-data --name me --scope admin | tail -n 1)";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Work directly on a hub's data directory on this machine
    #[arg(long, env = "SPRINGHOUSE_DATA", global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token; its text is the last line
    Create(New),
    /// All tokens, without their texts
    List,
    /// End a token at once
    Revoke { id: String },
}

#[derive(Debug, clap::Args)]
struct New {
    /// What it is for
    #[arg(long)]
    name: String,
    /// What it may do; can be given several times
    #[arg(long = "scope", value_name = "SCOPE", required_unless_present = "device")]
    scopes: Vec<Scope>,
    /// Home, plant or ward that readings of unknown devices belong to
    #[arg(long)]
    site: Option<String>,
    /// Make it the token of this device alone (with --data)
    #[arg(long, conflicts_with_all = ["scopes", "site"])]
    device: Option<String>,
    /// How long it is valid: 30d, 12h, 10m [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    match args.data {
        Some(data) => runtime::run_client(on_data(&data, args.action)),
        None => over_rest(&Client::new(&args.connection)?, args.action),
    }
}

async fn on_data(data: &Path, action: Action) -> anyhow::Result<()> {
    let meta = open_meta(data).await?;
    let tenant = TenantId::main();
    match action {
        Action::Create(new) => {
            let parse = |error| Failure::Usage(format!("{error}"));
            let token = NewToken {
                tenant,
                site: new.site.map(|site| site.parse()).transpose().map_err(parse)?,
                name: new.name,
                scopes: new.scopes,
                device: new.device.map(|device| device.parse()).transpose().map_err(parse)?,
                expires_at: new.expires.map(from_now),
            };
            let (info, text) = meta.create_token(token).await?;
            eprintln!("token `{}` ({}), shown this once:", info.name, info.id);
            println!("{}", text.expose());
        }
        Action::List => print_tokens(&serde_json::to_value(meta.tokens(&tenant).await?)?)?,
        Action::Revoke { id } => {
            if !meta.revoke_token(&tenant, &id).await? {
                return Err(Failure::Usage(format!(
                    "there is no token `{id}`; hint: `springhouse token list`"
                ))
                .into());
            }
            println!("token `{id}` is revoked");
        }
    }
    Ok(())
}

fn over_rest(client: &Client, action: Action) -> anyhow::Result<()> {
    match action {
        Action::Create(new) => {
            if new.device.is_some() {
                return Err(Failure::Usage(
                    "--device needs --data; hint: over the network `springhouse device add` or `device token`".into(),
                )
                .into());
            }
            let mut body = json!({ "name": new.name, "scopes": new.scopes });
            if let Some(site) = new.site {
                body["site"] = Value::from(site);
            }
            if let Some(expires) = new.expires {
                body["expires"] = Value::from(from_now(expires).to_string());
            }
            let answer = client.post("/tokens", &body)?;
            let word = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
            eprintln!("token {}, shown this once:", word("id"));
            println!("{}", word("token"));
        }
        Action::List => print_tokens(&client.get("/tokens")?)?,
        Action::Revoke { id } => {
            client.delete(&format!("/tokens/{}", path_part(&id)))?;
            println!("token `{id}` is revoked");
        }
    }
    Ok(())
}

fn print_tokens(tokens: &Value) -> anyhow::Result<()> {
    Ok(table::print_objects(&["id", "name", "scopes", "device", "site", "created_at", "expires_at"], tokens)?)
}

/// Opens the names of a hub that may be running; a directory without any is a typing error, not a wish.
pub async fn open_meta(data: &Path) -> anyhow::Result<Arc<dyn Meta>> {
    let data = config::data_directory(Some(data))?;
    let path = hub::paths::meta(&data);
    if !path.is_file() {
        let problem =
            format!("`{}` is not the data directory of a hub\nhint: start the hub once", data.display());
        return Err(Failure::Usage(problem).into());
    }
    Ok(Arc::new(SqliteMeta::open(&path).await?))
}

pub fn from_now(duration: Duration) -> Timestamp {
    SystemClock.now().plus_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// `90s`, `10m`, `12h`, `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a length of time; hint: 90s, 10m, 12h or 30d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in ["", "d", "5", "5y", "-1h", "1.5h", "99999999999999999999d", "5ü"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
