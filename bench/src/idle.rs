//! Many clients that hold a connection and say nothing.

use anyhow::Result;

use crate::client::Client;
use crate::report::Report;
use crate::{Arguments, process, servers};

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        &format!("{} idle connections", arguments.connections),
        "Keep-alive 10 minutes, clean sessions, opened one after the other; memory of the server process before and after.",
    );
    report.table(&["server", "RSS MB before", "RSS MB with all", "kB a connection", "CPU ms to open one"]);
    let mut tls = servers::hub_tls(arguments)?;
    tls.name = "springhouse, TLS";
    let peers = [Some(servers::hub(arguments)?), servers::mosquitto(arguments, false)?, Some(tls)];
    for server in peers.into_iter().flatten() {
        let cpu = process::cpu_seconds(server.pid())?;
        let (before, _) = process::memory_mb(server.pid())?;
        let mut clients = Vec::with_capacity(arguments.connections);
        for number in 0..arguments.connections {
            clients.push(Client::connect(&server.target, &format!("idle-{number}"), 600).await?);
        }
        let opening = process::cpu_seconds(server.pid())? - cpu;
        let (after, _) = process::memory_mb(server.pid())?;
        report.row(&[
            server.name.to_owned(),
            format!("{before:.0}"),
            format!("{after:.0}"),
            format!("{:.1}", (after - before) * 1024.0 / arguments.connections as f64),
            format!("{:.2}", opening * 1_000.0 / arguments.connections as f64),
        ]);
        drop(clients);
        server.stop();
    }
    Ok(())
}
