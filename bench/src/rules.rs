//! Thousands of small rules on one stream.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::api::post;
use crate::client::Client;
use crate::report::Report;
use crate::servers::Server;
use crate::{Arguments, process, servers};

/// Messages a second while they work: a site that speaks twenty times a second.
const RATE: u64 = 20;

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let rules = arguments.rules;
    report.section(
        &format!("{rules} rules on one stream"),
        &format!(
            "Each with a bound of its own, created by the API. Memory is what the hub holds more than before (resident, \
             without the pages of its file); then {RATE} messages/s from one client, each of which every rule looks at."
        ),
    );
    report.table(&[
        "rules",
        "s to create",
        "kB a rule",
        "kB a rule, after the load",
        "µs CPU a rule and message",
    ]);
    let alert = |number: usize| {
        format!(
            "CREATE ALERT rule_{number} AS SELECT device, ts, power FROM meter WHERE power > {}",
            1_000 + number
        )
    };
    let window = |number: usize| {
        format!(
            "CREATE PIPELINE rule_{number} INTO minute_{number} AS SELECT device, window_end, avg(power) AS watts \
             FROM TUMBLE(meter, ts, INTERVAL '1' MINUTE) GROUP BY device, window_end HAVING avg(power) > {number}"
        )
    };
    measure_kind(arguments, report, "alerts with a condition", &alert).await?;
    measure_kind(arguments, report, "windows of a minute", &window).await
}

async fn measure_kind(
    arguments: &Arguments,
    report: &mut Report,
    name: &str,
    rule: &dyn Fn(usize) -> String,
) -> Result<()> {
    let server = servers::hub(arguments)?;
    post(&server, "/sql", &json!({ "query": "CREATE STREAM meter (power DOUBLE, state TEXT)" }))?;
    let before = process::private_mb(server.pid())?;
    let begun = Instant::now();
    for number in 0..arguments.rules {
        post(&server, "/pipelines", &json!({ "sql": rule(number) }))?;
    }
    let creating = begun.elapsed();
    let created = process::private_mb(server.pid())?;
    let cpu = process::cpu_seconds(server.pid())?;
    let messages = publish(&server, Duration::from_secs(arguments.seconds)).await?;
    let computed = process::cpu_seconds(server.pid())? - cpu;
    let after = process::private_mb(server.pid())?;
    let each = |megabytes: f64| format!("{:.0}", megabytes * 1024.0 / arguments.rules as f64);
    report.row(&[
        name.to_owned(),
        format!("{:.1}", creating.as_secs_f64()),
        each(created - before),
        each(after - before),
        format!("{:.1}", computed * 1e6 / (messages * arguments.rules as u64) as f64),
    ]);
    server.stop();
    Ok(())
}

/// Publishes at the rate and returns how many messages it was.
async fn publish(server: &Server, time: Duration) -> Result<u64> {
    let mut client = Client::connect(&server.target, "rules", 60).await?;
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
    let deadline = Instant::now() + time;
    let mut sent = 0;
    while Instant::now() < deadline {
        ticks.tick().await;
        client.put_publish(
            "devices/oven/meter",
            (sent % 60_000 + 1) as u16,
            b"{\"power\":500.5,\"state\":\"on\"}",
        );
        client.flush().await?;
        client.acknowledgements(|_| ()).await?;
        sent += 1;
    }
    Ok(sent)
}
