//! `springhouse pipeline tap`: looking into a pipeline that runs.

use super::steps;
use crate::client::{Client, path_part};
use crate::table;

#[derive(Debug, clap::Args)]
pub struct Args {
    name: String,
    /// How long to look, at most 30
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Rows to show of each step
    #[arg(long, default_value_t = 5)]
    limit: u32,
}

pub fn carry_out(client: &Client, args: &Args, is_json: bool) -> anyhow::Result<()> {
    let Args { name, seconds, limit } = args;
    let answer =
        client.get(&format!("/pipelines/{}/tap?seconds={seconds}&limit={limit}", path_part(name)))?;
    match is_json {
        true => table::print_json(&answer)?,
        false => steps::print(&answer["steps"])?,
    }
    Ok(())
}
