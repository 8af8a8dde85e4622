//! The queries of the engine's section as pipelines of a hub, over the same events in its log.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::api::{get, post};
use crate::client::Client;
use crate::engine::{QUERIES, SCHEMA};
use crate::report::Report;
use crate::servers::{self, Server};
use crate::{Arguments, process};

/// Unacknowledged messages of the one connection that keeps events in their order.
const WINDOW: u16 = 1_000;
const LOOK: Duration = Duration::from_millis(20);
/// The name of the hub's threads that run pipelines.
const THREADS: &str = "engine";

/// `events` are those over which `springhouse run` has gone.
pub async fn measure(arguments: &Arguments, report: &mut Report, events: &Path) -> Result<()> {
    report.words(
        "The same queries as pipelines of a hub, which has the events in its log, a message each, and is quiet otherwise. A pipeline that is created \
         reads the log from its beginning; CPU time is that of the threads that run pipelines, who read frames, decode them and compute, and that of the whole \
         hub, which also writes the rows to the log and keeps history. Windows that are open at the end give no row yet, and rows of one commit are taken in the order of time, so that fewer are late.",
    );
    let server = servers::hub(arguments)?;
    let schema = SCHEMA.trim_end().trim_end_matches(';');
    post(&server, "/sql", &json!({ "query": schema }))?;
    let published = publish(&server, events).await?;
    report.table(&[
        "pipeline over the log",
        "readings",
        "rows out",
        "late",
        "pipeline CPU s per million",
        "hub CPU s per million",
        "readings/s and core, from frames",
    ]);
    for (name, query) in QUERIES {
        report.row(&catch_up(&server, name, query, published)?);
    }
    let one = together(&server, &["alone"], published)?;
    let two = together(&server, &["left", "right"], published)?;
    report.words(&format!(
        "Each thread of the engine runs pipelines of its own: one pipeline of the second query reads the log in {one:.2} s, two of them in {two:.2} s, \
         which is {:.2} times the readings in a second.",
        2.0 * one / two
    ));
    server.end()
}

/// Creates pipelines of the second query; how long it takes until all have read the log, in seconds.
fn together(server: &Server, names: &[&str], published: u64) -> Result<f64> {
    let query = QUERIES[1].1;
    let begun = Instant::now();
    for name in names {
        let sql = format!("CREATE PIPELINE {name} INTO {name}_rows AS {query}");
        post(server, "/pipelines", &json!({ "sql": sql }))?;
    }
    for name in names {
        until_caught_up(server, name, published)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Waits until a pipeline has read the log; returns its status.
fn until_caught_up(server: &Server, pipeline: &str, published: u64) -> Result<Value> {
    loop {
        let status = get(server, &format!("/pipelines/{pipeline}"))?;
        if status["state"] != "running" {
            bail!("the pipeline does not run: {status}");
        }
        if status["rows_in"].as_u64() >= Some(published) && status["lag_records"].as_u64() == Some(0) {
            return Ok(status);
        }
        std::thread::sleep(LOOK);
    }
}

/// Publishes the lines of a file, in their order; returns how many they are.
async fn publish(server: &Server, events: &Path) -> Result<u64> {
    let mut client = Client::connect(&server.target, "events", 60).await?;
    let mut free: Vec<u16> = (1..=WINDOW).collect();
    let mut published = 0;
    for line in BufReader::new(File::open(events)?).lines() {
        let line = line?;
        let (topic, payload) = message(&line).with_context(|| format!("not an event: {line}"))?;
        while free.is_empty() {
            client.flush().await?;
            client.acknowledgements(|id| free.push(id)).await?;
        }
        let id = free.pop().context("no packet id is free")?;
        client.put_publish(&topic, id, payload.as_bytes());
        published += 1;
    }
    client.flush().await?;
    while free.len() < usize::from(WINDOW) {
        client.acknowledgements(|id| free.push(id)).await?;
    }
    Ok(published)
}

/// `{"device":"dev-00005","site":"site-05","seq":1,…}` as a device sends it: who it is stands in the topic.
fn message(line: &str) -> Option<(String, String)> {
    let device = line.strip_prefix("{\"device\":\"")?.split('"').next()?;
    let properties = &line[line.find("\"seq\"")?..];
    Some((format!("devices/{device}/src"), format!("{{{properties}")))
}

/// Creates a pipeline, waits until it has read the log, and tells what that took.
fn catch_up(server: &Server, name: &str, query: &str, published: u64) -> Result<Vec<String>> {
    let pipeline = name.split(' ').next().unwrap_or(name);
    let cpu = || -> Result<(f64, f64)> {
        Ok((process::threads_cpu_seconds(server.pid(), THREADS)?, process::cpu_seconds(server.pid())?))
    };
    let before = cpu()?;
    let sql = format!("CREATE PIPELINE {pipeline} INTO {pipeline}_rows AS {query}");
    post(server, "/pipelines", &json!({ "sql": sql }))?;
    let status = until_caught_up(server, pipeline, published)?;
    let after = cpu()?;
    let (threads, hub) = (after.0 - before.0, after.1 - before.1);
    let number = |key: &str| status[key].as_f64().unwrap_or(f64::NAN);
    let readings = number("rows_in");
    Ok(vec![
        name.to_owned(),
        format!("{readings:.0}"),
        format!("{:.0}", number("rows_out")),
        format!("{:.0}", number("late")),
        format!("{:.2}", threads * 1e6 / readings),
        format!("{:.2}", hub * 1e6 / readings),
        format!("{:.0}", readings / threads),
    ])
}
