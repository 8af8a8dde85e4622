//! `make soak`: a hub under load that is killed, stopped, changed and left in silence again and again; at the end, what its
//! pipelines have written must be what the same queries say over everything that was stored, and nothing that was
//! acknowledged may be missing.

mod chaos;
mod publisher;
mod truth;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::sync::watch;

use crate::Arguments;
use crate::api::{get, post};
use crate::random::Random;
use crate::servers::{self, Server};
use chaos::Chaos;
use publisher::Sent;

const DEVICES: u64 = 6;
/// Event time of the rows that close all windows, ahead of the others.
const AHEAD_S: i64 = 7_200;
/// How long the pipelines may take to come to the end.
const SETTLE: Duration = Duration::from_secs(120);

/// What a publisher needs to know of the hub of the moment.
#[derive(Clone, Debug)]
struct Now {
    target: crate::client::Target,
    is_silent: bool,
}

pub async fn run(arguments: &Arguments) -> Result<()> {
    let time = Duration::from_secs(arguments.minutes * 60);
    println!("{} minutes with seed {}; `--seed` repeats it", arguments.minutes, arguments.seed);
    let folder = Arc::new(tempfile::tempdir_in(&arguments.scratch)?);
    let server = servers::hub_in(arguments, Arc::clone(&folder), &[])?;
    truth::set_up(&server)?;
    let (now, seen) = watch::channel(Now { target: server.target.clone(), is_silent: false });
    let (stop, stopped) = watch::channel(false);
    let publishers: Vec<_> = (0..DEVICES)
        .map(|number| tokio::spawn(publisher::publish(number, arguments.seed, seen.clone(), stopped.clone())))
        .collect();
    let mut chaos = Chaos::new(Random::new(arguments.seed), server, folder);
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        chaos.wait().await;
        chaos.strike(arguments, &now).await?;
    }
    now.send_modify(|now| now.is_silent = false);
    let _ = stop.send(true);
    let mut sent = Vec::new();
    for publisher in publishers {
        sent.push(publisher.await??);
    }
    let server = chaos.end(arguments).await?;
    publisher::close_windows(&server.target, AHEAD_S).await?;
    settle(&server).await?;
    judge(&server, &sent, &chaos)
}

/// Waits until all pipelines run and have dealt with everything.
async fn settle(server: &Server) -> Result<()> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let pipelines = get(server, "/pipelines")?;
        let pipelines = pipelines.as_array().context("no list of pipelines")?;
        if let Some(failed) = pipelines.iter().find(|pipeline| pipeline["state"] == "failed") {
            bail!("pipeline {} has failed: {}", failed["name"], failed["error"]);
        }
        if pipelines.iter().all(|pipeline| pipeline["lag_records"] == 0) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the pipelines do not come to the end of the log");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn judge(server: &Server, sent: &[Sent], chaos: &Chaos) -> Result<()> {
    println!("{chaos}");
    let acknowledged: usize = sent.iter().map(|sent| sent.acknowledged).sum();
    let mut wrong = 0;
    for sent in sent {
        let missing = truth::missing(server, sent)?;
        if missing > 0 {
            println!("WRONG: {missing} acknowledged messages of {} are missing", sent.device);
            wrong += 1;
        }
    }
    println!("{acknowledged} messages acknowledged");
    for pipeline in truth::PIPELINES {
        let (rows, different) = truth::compare(server, pipeline)?;
        let verdict =
            if different == 0 { "as over history".to_owned() } else { format!("WRONG: {different} differ") };
        println!("{:<10} {rows:>8} rows, {verdict}", pipeline.name);
        wrong += usize::from(different > 0 || rows == 0);
    }
    let late = post(server, "/sql", &json!({ "query": truth::late() }))?;
    println!("late rows: {}", late["rows"][0][0]);
    match wrong {
        0 => Ok(()),
        _ => bail!("{wrong} checks have failed"),
    }
}
