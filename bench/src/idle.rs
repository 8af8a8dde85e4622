//! Many clients that hold a connection and say nothing.

use anyhow::Result;

use crate::client::Client;
use crate::report::Report;
use crate::{Arguments, process, servers};

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        &format!("{} idle connections", arguments.connections),
        "Plain MQTT, keep-alive 10 minutes, clean sessions; memory of the server process before and after.",
    );
    report.table(&["server", "RSS MB before", "RSS MB with all", "kB a connection"]);
    let peers = [Some(servers::hub(arguments)?), servers::mosquitto(arguments, false)?];
    for server in peers.into_iter().flatten() {
        let (before, _) = process::memory_mb(server.pid())?;
        let mut clients = Vec::with_capacity(arguments.connections);
        for number in 0..arguments.connections {
            clients.push(Client::connect(&server.target, &format!("idle-{number}"), 600).await?);
        }
        let (after, _) = process::memory_mb(server.pid())?;
        report.row(&[
            server.name.to_owned(),
            format!("{before:.0}"),
            format!("{after:.0}"),
            format!("{:.1}", (after - before) * 1024.0 / arguments.connections as f64),
        ]);
        drop(clients);
        server.stop();
    }
    Ok(())
}
