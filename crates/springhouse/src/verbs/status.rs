//! `springhouse status`: is the hub alive, is it ready.

use anyhow::Context;

use crate::client::{Client, Connection};
use crate::failure::Failure;

const LONG: &str = "\
Asks a hub whether it is alive (/healthz) and ready to take readings (/readyz), and with a token what it is doing. \
Ends with 0 when it is ready, 4 when nobody answers, 5 when it is not ready; made for health checks.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
pub struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Print nothing; the exit code says it
    #[arg(long)]
    quiet: bool,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let client = Client::new(&args.connection)?;
    client.probe("/healthz")?;
    let ready = client.probe("/readyz")?;
    if ready != 200 {
        return Err(Failure::Refused(format!("the hub at {} is alive but not ready", client.base())).into());
    }
    if args.quiet {
        return Ok(());
    }
    println!("the hub at {} is ready", client.base());
    if client.token().is_some() {
        let overview = client.get("/overview")?;
        let facts = overview.as_object().context("the hub's overview is not an object")?;
        for (name, value) in facts.iter().filter(|(_, value)| value.is_number() || value.is_string()) {
            println!(
                "  {:<26} {}",
                name.replace('_', " "),
                value.as_str().map_or(value.to_string(), str::to_owned)
            );
        }
    }
    Ok(())
}
