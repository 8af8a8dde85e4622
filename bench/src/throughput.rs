//! MQTT QoS 1 from many publishers: messages per second, server CPU per message, latency of the acknowledgement.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client::{Client, Target};
use crate::report::{Report, percentile};
use crate::servers::{self, Server};
use crate::{Arguments, process};

/// One load: how many publishers, how many unacknowledged messages each keeps in flight.
#[derive(Clone, Copy)]
pub struct Load {
    publishers: usize,
    window: u16,
}

impl FromStr for Load {
    type Err = anyhow::Error;

    /// `100x16`: publishers and window.
    fn from_str(text: &str) -> Result<Load> {
        let (publishers, window) = text.split_once('x').context("write a load as 100x16")?;
        Ok(Load { publishers: publishers.parse()?, window: window.parse()? })
    }
}

struct Measured {
    messages: u64,
    seconds: f64,
    cpu_seconds: f64,
    latencies_us: Vec<u64>,
}

impl Measured {
    /// Messages a second.
    fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "MQTT QoS 1, 200-byte JSON",
        "The hub validates each message against its schema and has it on disk (fdatasync) before PUBACK; \
         mosquitto acknowledges from memory, with persistence on it writes a file when it stops or at intervals. \
         The ratio is that of messages/s to mosquitto without persistence in the same run.",
    );
    report.table(&[
        "server",
        "publishers × window",
        "messages/s",
        "× mosquitto",
        "server CPU µs/message",
        "ack p50 ms",
        "ack p99 ms",
        "RSS MB",
    ]);
    for load in arguments.loads.iter().copied() {
        let mut rows = Vec::new();
        for server in all(arguments)? {
            let measured = run(&server, load, Duration::from_secs(arguments.seconds)).await?;
            let (rss, _) = process::memory_mb(server.pid())?;
            rows.push((server.name, measured, rss));
            server.stop();
        }
        // The last one is mosquitto without persistence, where there is a mosquitto.
        let peer = rows.last().filter(|_| rows.len() > 1).map(|(_, measured, _)| measured.rate());
        for (name, measured, rss) in rows {
            row(report, name, load, measured, peer, rss);
        }
    }
    Ok(())
}

fn all(arguments: &Arguments) -> Result<Vec<Server>> {
    let peers = [servers::mosquitto(arguments, true)?, servers::mosquitto(arguments, false)?];
    let mut list = vec![servers::hub(arguments)?];
    list.extend(peers.into_iter().flatten());
    Ok(list)
}

fn row(report: &mut Report, name: &str, load: Load, mut measured: Measured, peer: Option<f64>, rss: f64) {
    measured.latencies_us.sort_unstable();
    let milliseconds = |share: f64| percentile(&measured.latencies_us, share) as f64 / 1_000.0;
    report.row(&[
        name.to_owned(),
        format!("{} × {}", load.publishers, load.window),
        format!("{:.0}", measured.rate()),
        peer.map_or_else(|| "–".to_owned(), |peer| format!("{:.2}", measured.rate() / peer)),
        format!("{:.2}", measured.cpu_seconds * 1e6 / measured.messages.max(1) as f64),
        format!("{:.2}", milliseconds(0.50)),
        format!("{:.2}", milliseconds(0.99)),
        format!("{rss:.0}"),
    ]);
}

async fn run(server: &Server, load: Load, time: Duration) -> Result<Measured> {
    let count = Arc::new(AtomicU64::new(0));
    // A second of warm-up: the first messages register devices and streams.
    publish_all(&server.target, load, Duration::from_secs(1), Arc::new(AtomicU64::new(0))).await?;
    let cpu_before = process::cpu_seconds(server.pid())?;
    let begin = Instant::now();
    let latencies_us = publish_all(&server.target, load, time, count.clone()).await?;
    Ok(Measured {
        messages: count.load(Ordering::Relaxed),
        seconds: begin.elapsed().as_secs_f64(),
        cpu_seconds: process::cpu_seconds(server.pid())? - cpu_before,
        latencies_us,
    })
}

async fn publish_all(target: &Target, load: Load, time: Duration, count: Arc<AtomicU64>) -> Result<Vec<u64>> {
    let tasks: Vec<_> = (0..load.publishers)
        .map(|number| tokio::spawn(publish(target.clone(), number, load.window, time, count.clone())))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(latencies)
}

/// Keeps `window` messages in flight until the time is over; returns a sample of the acknowledgement latencies.
async fn publish(
    target: Target,
    number: usize,
    window: u16,
    time: Duration,
    count: Arc<AtomicU64>,
) -> Result<Vec<u64>> {
    let mut client = Client::connect(&target, &format!("bench-{number}"), 60).await?;
    let topic = format!("devices/bench-{number:04}/bench");
    let payload = payload(number);
    let mut sent = vec![Instant::now(); usize::from(window) + 1];
    let mut latencies = Vec::new();
    let deadline = Instant::now() + time;
    for id in 1..=window {
        sent[usize::from(id)] = Instant::now();
        client.put_publish(&topic, id, &payload);
    }
    client.flush().await?;
    let mut in_flight = usize::from(window);
    let mut free = Vec::with_capacity(usize::from(window));
    while in_flight > 0 {
        let acked = client.acknowledgements(|id| free.push(id)).await?;
        in_flight -= acked;
        count.fetch_add(acked as u64, Ordering::Relaxed);
        let now = Instant::now();
        // One sample per wake-up is enough for percentiles and keeps the generator out of the figures.
        if let Some(id) = free.first() {
            latencies.push((now - sent[usize::from(*id)]).as_micros() as u64);
        }
        if now < deadline {
            for id in free.drain(..) {
                sent[usize::from(id)] = now;
                client.put_publish(&topic, id, &payload);
                in_flight += 1;
            }
            client.flush().await?;
        }
        free.clear();
    }
    Ok(latencies)
}

/// A reading of 200 bytes with eight properties.
fn payload(number: usize) -> Vec<u8> {
    let mut text = format!(
        "{{\"temperature\":21.{:03},\"humidity\":45.{:02},\"power\":512.3,\"voltage\":230.1,\"current\":2.23,\"energy\":18234.512,\
         \"state\":\"running\",\"mode\":\"automatic\",\"firmware\":\"2.4.1\",\"note\":\"",
        number % 1000,
        number % 100
    );
    while text.len() < 198 {
        text.push('x');
    }
    text.push_str("\"}");
    text.into_bytes()
}
