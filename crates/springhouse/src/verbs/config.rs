//! `springhouse config`: what flags, environment and file result in.

use std::io::Write;

use anyhow::Context;

use crate::config::{self, HubFlags};
use crate::hub;

const LONG: &str = "\
Prints the configuration in effect as a TOML file, every default included. Reads the same flags, environment and file \
as `springhouse hub` and fails in the same way, so that it also serves as a check before a restart.";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG)]
pub struct Args {
    #[command(flatten)]
    flags: HubFlags,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let settings = config::settings(&args.flags)?;
    hub::check(&settings)?;
    let text = toml::to_string(&settings).context("cannot write the configuration as TOML")?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
