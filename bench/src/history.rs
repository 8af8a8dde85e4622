//! A month of many devices: what a stored reading takes, how soon a chart of it is there, how fast the log is read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::sync::Barrier;

use crate::api::{get, get_with, post};
use crate::client::{Client, Target};
use crate::random::Random;
use crate::report::{Report, percentile};
use crate::servers::{self, Server};
use crate::{Arguments, process};

const GATEWAYS: u64 = 4;
const WINDOW: u16 = 16;
/// One reading a minute; a message holds those of an hour.
const MINUTES: i64 = 60;
/// 2026-10-01T00:00:00Z.
const BEGIN_S: i64 = 1_790_812_800;
const DAYS_NARROW: i64 = 30;
const DAYS_WIDE: i64 = 1;
const CHARTS: usize = 200;
const LOOK: Duration = Duration::from_millis(20);

/// A kind of stream: its name, the days that are filled, how a reading looks.
struct Kind {
    stream: &'static str,
    what: &'static str,
    days: i64,
    columns: usize,
}

const NARROW: Kind = Kind {
    stream: "climate",
    what: "narrow: one temperature in tenths of a degree that drifts",
    days: DAYS_NARROW,
    columns: 1,
};
const WIDE: Kind = Kind {
    stream: "meter",
    what: "wide: nine measures with two decimals that drift",
    days: DAYS_WIDE,
    columns: 9,
};

pub async fn measure(arguments: &Arguments, report: &mut Report) -> Result<()> {
    report.section(
        "History",
        "A reading a minute from each device, sent by four gateways in messages of an hour, QoS 1. The hub is stopped in order and started \
         again before anything is asked. Bytes are those of all Parquet files of the stream, with time, device, site and arrival. A chart is \
         `/devices/{id}/series` of a random device and hour, with the connection open. The log is read again by a new pipeline: the mean of each device in \
         windows of an hour, its rows counted.",
    );
    report.table(&["what", "readings", "readings/s in", "bytes a reading"]);
    let folder = Arc::new(tempfile::tempdir_in(&arguments.scratch)?);
    let server = servers::hub_in(arguments, Arc::clone(&folder), &[])?;
    // Rows of an hour come device by device.
    let stream = "CREATE STREAM climate (m0 DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '2' HOUR)";
    post(&server, "/sql", &json!({ "query": stream }))?;
    let mut rates = Vec::new();
    for kind in [&NARROW, &WIDE] {
        let begin = Instant::now();
        let readings = fill(arguments, &server, kind).await?;
        rates.push(readings as f64 / begin.elapsed().as_secs_f64());
    }
    server.end()?;
    let server = servers::hub_in(arguments, folder, &[])?;
    for (kind, rate) in [&NARROW, &WIDE].into_iter().zip(rates) {
        let stream = get(&server, &format!("/streams/{}", kind.stream))?;
        let (rows, bytes) = (stream["rows"].as_f64().unwrap_or(0.0), stream["bytes"].as_f64().unwrap_or(0.0));
        report.row(&[
            kind.what.into(),
            format!("{rows:.0}"),
            format!("{rate:.0}"),
            format!("{:.2}", bytes / rows.max(1.0)),
        ]);
    }
    charts(arguments, &server, report)?;
    catch_up(&server, report)
}

/// Publishes the readings of all devices, hour by hour; returns how many they are.
async fn fill(arguments: &Arguments, server: &Server, kind: &'static Kind) -> Result<i64> {
    let devices = arguments.devices;
    let hours = Arc::new(Barrier::new(GATEWAYS as usize));
    let start = |gateway| publish(server.target.clone(), kind, gateway, devices, Arc::clone(&hours));
    let gateways: Vec<_> = (0..GATEWAYS).map(|gateway| tokio::spawn(start(gateway))).collect();
    for gateway in gateways {
        gateway.await??;
    }
    Ok(kind.days * 24 * MINUTES * devices as i64)
}

/// No gateway begins an hour before those of all others are acknowledged.
async fn publish(
    target: Target,
    kind: &'static Kind,
    gateway: u64,
    devices: u64,
    hours: Arc<Barrier>,
) -> Result<()> {
    let mut client = Client::connect(&target, &format!("gateway-{gateway}"), 60).await?;
    let mut walks: Vec<Walk> =
        (gateway..devices).step_by(GATEWAYS as usize).map(|n| Walk::new(n, kind)).collect();
    let mut free: Vec<u16> = (1..=WINDOW).collect();
    for hour in 0..kind.days * 24 {
        hours.wait().await;
        for walk in &mut walks {
            while free.is_empty() {
                client.flush().await?;
                client.acknowledgements(|id| free.push(id)).await?;
            }
            let id = free.pop().context("no packet id is free")?;
            let payload = walk.hour(BEGIN_S + hour * 3_600);
            client.put_publish(&walk.topic, id, payload.as_bytes());
        }
        client.flush().await?;
        while free.len() < usize::from(WINDOW) {
            client.acknowledgements(|id| free.push(id)).await?;
        }
    }
    Ok(())
}

/// A device whose measures wander by small steps.
struct Walk {
    topic: String,
    random: Random,
    /// In the last decimal that is sent.
    values: Vec<i64>,
    scale: f64,
    decimals: usize,
}

impl Walk {
    fn new(number: u64, kind: &Kind) -> Walk {
        let (scale, decimals) = if kind.columns == 1 { (10.0, 1) } else { (100.0, 2) };
        Walk {
            topic: format!("devices/device-{number:04}/{}", kind.stream),
            random: Random::new(number + 1),
            values: (0..kind.columns).map(|column| 200 + 1_000 * column as i64).collect(),
            scale,
            decimals,
        }
    }

    fn hour(&mut self, begin_s: i64) -> String {
        let mut text = String::with_capacity(4_096);
        for minute in 0..MINUTES {
            text.push(if minute == 0 { '[' } else { ',' });
            text.push_str(&format!("{{\"ts\":{}", (begin_s + minute * 60) * 1_000));
            for column in 0..self.values.len() {
                self.values[column] += (self.random.next() % 5) as i64 - 2;
                let value = self.values[column] as f64 / self.scale;
                text.push_str(&format!(",\"m{column}\":{value:.*}", self.decimals));
            }
            text.push('}');
        }
        text.push(']');
        text
    }
}

fn charts(arguments: &Arguments, server: &Server, report: &mut Report) -> Result<()> {
    let agent = ureq::Agent::new_with_defaults();
    let mut took = Vec::with_capacity(CHARTS);
    let mut random = Random::new(88_172_645_463_325_252);
    for _ in 0..CHARTS {
        let drawn = random.next();
        let (device, hour) = (drawn % arguments.devices, (drawn >> 32) as i64 % (DAYS_NARROW * 24));
        let (from, to) = (BEGIN_S + hour * 3_600, BEGIN_S + (hour + 1) * 3_600);
        let path = format!(
            "/devices/device-{device:04}/series?stream=climate&property=m0&from={}&to={}&points=60",
            from * 1_000,
            to * 1_000
        );
        let begin = Instant::now();
        let chart = get_with(&agent, server, &path)?;
        took.push(begin.elapsed().as_micros() as u64);
        if chart["ts"].as_array().map(Vec::len) < Some(59) {
            bail!("a chart has gaps: {chart}");
        }
    }
    took.sort_unstable();
    report.table(&["one device, one hour, of the month", "p50 ms", "p99 ms"]);
    let ms = |share| format!("{:.1}", percentile(&took, share) as f64 / 1_000.0);
    report.row(&[format!("{CHARTS} charts one after the other"), ms(0.5), ms(0.99)]);
    Ok(())
}

fn catch_up(server: &Server, report: &mut Report) -> Result<()> {
    let sql = "CREATE PIPELINE again INTO hourly AS SELECT window_start, window_end, device, avg(m0) AS mean \
               FROM TUMBLE(climate, ts, INTERVAL '1' HOUR) GROUP BY window_start, window_end, device";
    let (begin, cpu) = (Instant::now(), process::cpu_seconds(server.pid())?);
    post(server, "/sql", &json!({ "query": sql }))?;
    let pipeline = loop {
        let pipeline = get(server, "/pipelines/again")?;
        if pipeline["state"] != "running" {
            bail!("the pipeline does not run: {pipeline}");
        }
        if pipeline["rows_in"].as_u64() > Some(0) && pipeline["lag_records"].as_u64() == Some(0) {
            break pipeline;
        }
        std::thread::sleep(LOOK);
    };
    let (seconds, cpu) = (begin.elapsed().as_secs_f64(), process::cpu_seconds(server.pid())? - cpu);
    if pipeline["late"] != 0 {
        bail!("rows were late: {pipeline}");
    }
    let rows = pipeline["rows_in"].as_f64().unwrap_or(0.0);
    report.table(&["the log read again by a pipeline", "readings", "readings/s", "readings/s and core"]);
    report.row(&[
        "mean of each device and hour".into(),
        format!("{rows:.0}"),
        format!("{:.0}", rows / seconds),
        format!("{:.0}", rows / cpu),
    ]);
    Ok(())
}
