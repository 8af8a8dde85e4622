//! From a publish to the row on an open WebSocket, at a steady rate.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

use crate::api::post;
use crate::client::{Client, Target};
use crate::report::{Report, percentile};
use crate::{Arguments, servers};

const RATES: [u64; 2] = [1_000, 10_000];
const PUBLISHERS: u64 = 20;

/// What the reader waits for.
struct Way {
    what: &'static str,
    stream: &'static str,
    /// Makes the stream out of what is published.
    rule: Option<&'static str>,
    /// One of so many messages comes out.
    part: u64,
}

const WAYS: [Way; 2] = [
    Way { what: "the reading", stream: "latency", rule: None, part: 1 },
    Way {
        what: "an alert for one in ten",
        stream: "alerts.tenth",
        rule: Some(
            "CREATE ALERT tenth AS SELECT device, ts, sent_us, value FROM latency WHERE value % 10 < 1",
        ),
        part: 10,
    },
];

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "Publish → row on an open WebSocket",
        "The payload carries the moment of sending; the reader subtracts it from the moment at which the row is parsed. \
         An alert has gone through the log twice. Publishers, hub and reader share the machine.",
    );
    report.table(&["what comes out", "messages/s asked", "rows seen", "p50 ms", "p99 ms", "max ms"]);
    for (way, rate) in WAYS.iter().flat_map(|way| RATES.map(|rate| (way, rate))) {
        let server = servers::hub(arguments)?;
        let url = server.http.as_deref().context("a hub has an address")?.replace("http", "ws");
        let mut request = format!("{url}/api/v1/tail?stream={}", way.stream).into_client_request()?;
        let bearer = format!("Bearer {}", server.token.as_deref().unwrap_or_default());
        request.headers_mut().insert(AUTHORIZATION, bearer.parse()?);
        warm_up(&server.target).await?;
        if let Some(rule) = way.rule {
            post(&server, "/pipelines", &json!({ "sql": rule }))?;
        }
        let (socket, _) =
            tokio_tungstenite::connect_async(request).await.context("cannot open the WebSocket")?;
        let time = Duration::from_secs(arguments.seconds);
        let expected = rate * arguments.seconds / way.part;
        let reader = tokio::spawn(read(socket, expected, time + Duration::from_secs(10)));
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| tokio::spawn(publish(server.target.clone(), number, rate / PUBLISHERS, time)))
            .collect();
        for publisher in publishers {
            publisher.await??;
        }
        let mut latencies = reader.await??;
        latencies.sort_unstable();
        let milliseconds = |share: f64| format!("{:.1}", percentile(&latencies, share) as f64 / 1_000.0);
        report.row(&[
            way.what.to_owned(),
            rate.to_string(),
            format!("{} of {expected}", latencies.len()),
            milliseconds(0.5),
            milliseconds(0.99),
            milliseconds(1.0),
        ]);
        server.stop();
    }
    Ok(())
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}

/// Lets the hub meet the stream, so that the reader can ask for it.
async fn warm_up(target: &Target) -> Result<()> {
    let mut client = Client::connect(target, "warm-up", 60).await?;
    client.put_publish("devices/warm-up/latency", 1, b"{\"sent_us\":0,\"value\":0.5}");
    client.flush().await?;
    client.acknowledgements(|_| ()).await?;
    Ok(())
}

/// Publishes ten times a tick so that timer resolution does not shape the load.
async fn publish(target: Target, number: u64, rate: u64, time: Duration) -> Result<()> {
    let mut client = Client::connect(&target, &format!("latency-{number}"), 60).await?;
    let topic = format!("devices/latency-{number}/latency");
    let per_tick = (rate / 100).max(1);
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 * per_tick / rate.max(1)));
    let deadline = Instant::now() + time;
    let mut packet_id: u16 = 0;
    while Instant::now() < deadline {
        ticks.tick().await;
        for _ in 0..per_tick {
            packet_id = packet_id % 60_000 + 1;
            let payload = format!("{{\"sent_us\":{},\"value\":{packet_id}.5}}", now_us());
            client.put_publish(&topic, packet_id, payload.as_bytes());
        }
        client.flush().await?;
        let mut open = per_tick as usize;
        while open > 0 {
            open -= client.acknowledgements(|_| ()).await?;
        }
    }
    Ok(())
}

async fn read<S>(mut socket: S, expected: u64, time: Duration) -> Result<Vec<u64>>
where
    S: StreamExt<
            Item = Result<tokio_tungstenite::tungstenite::Message, tokio_tungstenite::tungstenite::Error>,
        > + Unpin,
{
    let mut latencies = Vec::new();
    let quiet = Duration::from_secs(3);
    let deadline = Instant::now() + time;
    while (latencies.len() as u64) < expected && Instant::now() < deadline {
        let Ok(Some(message)) = tokio::time::timeout(quiet, socket.next()).await else { break };
        let arrived = now_us();
        let Ok(text) = message?.into_text() else { continue };
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        for row in value["rows"].as_array().into_iter().flatten() {
            if let Some(sent) = row["sent_us"].as_u64().filter(|sent| *sent > 0) {
                latencies.push(arrived.saturating_sub(sent));
            }
        }
    }
    Ok(latencies)
}
