//! `springhouse sim`: simulated homes on a hub, or printed.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use springhouse_model::{Clock, SystemClock, Timestamp};
use springhouse_testkit::city::{CityOptions, write_city};
use springhouse_testkit::nexmark::{NexmarkOptions, write_nexmark};
use springhouse_testkit::{EventOptions, Fault, Fleet, FleetOptions, Home, HomeOptions, Pace, write_events};
use tokio::time::Instant;

use super::token::duration;
use crate::failure::Failure;
use crate::runtime;

const LONG: &str = "\
Simulates homes and publishes their readings over MQTT as devices do: a thermostat in a house that really has to be \
heated, a smart meter, solar panels under a moving sky, lock, door, motion, plugs with a fridge, a washing machine and a \
kettle. The same seed gives the same homes. Streams: climate, meter, solar, lock, contact, motion, plug.

Simulated time is real time unless --since begins in the past; then it is filled in as fast as the hub takes it, or at \
--warp simulated seconds a second, and goes on live when it has caught up.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse sim --token $TOKEN --homes 20                         twenty homes, live
  springhouse sim --token $TOKEN --since 7d --only-past             a week of history, then end
  springhouse sim --token $TOKEN --fault spike:0.001 --fault schema-change:0.0005:meter
  springhouse sim --homes 1 --print 24h > day.ndjson                a day as NDJSON, without a hub

FAULTS   KIND:PROBABILITY[:DEVICE], where DEVICE is part of a device's name
  stuck, spike, drift, drop-out, duplicate, late, schema-change";

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    /// Number of homes; each has a connection of its own
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    homes: u32,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the hub listens for MQTT
    #[arg(long, default_value = "127.0.0.1:1883", value_name = "HOST:PORT")]
    mqtt: String,
    /// Token with scope ingest
    #[arg(long, env = "SPRINGHOUSE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Begin this long ago: 12h, 7d [default: now]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
    /// Simulated seconds a second while catching up [default: as fast as the hub takes it]
    #[arg(long, value_name = "FACTOR", requires = "since")]
    warp: Option<f64>,
    /// End when the past is filled in
    #[arg(long, requires = "since")]
    only_past: bool,
    /// End after this time [default: run until interrupted]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    run_for: Option<Duration>,
    /// Let devices go wrong; can be given several times
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// Print this length of simulated time as NDJSON in place of publishing it
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["warp", "only_past", "run_for"])]
    print: Option<Duration>,
    /// Print this many readings of the stream that the benchmarks use, 129 bytes each, some of them late
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["print", "since", "run_for"])]
    print_events: Option<u64>,
    /// Print this many events of the Nexmark benchmark's auction house
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["print", "print_events", "since", "run_for"])]
    print_nexmark: Option<u64>,
    /// Print this many readings of sensors in seven cities, some of them wrong
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["print", "print_events", "print_nexmark", "since", "run_for"])]
    print_city: Option<u64>,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    if let Some(length) = args.print {
        return print(&args, length);
    }
    // The same bytes every time, so that different systems can be compared on them.
    if let Some(events) = args.print_events {
        return to_stdout(|out| write_events(EventOptions { events, ..EventOptions::default() }, out));
    }
    let seed = args.seed;
    if let Some(events) = args.print_nexmark {
        return to_stdout(|out| {
            write_nexmark(NexmarkOptions { events, seed, ..NexmarkOptions::default() }, out)
        });
    }
    if let Some(readings) = args.print_city {
        return to_stdout(|out| write_city(CityOptions { readings, seed, ..CityOptions::default() }, out));
    }
    runtime::run_hub(2, publish(args))
}

fn to_stdout(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(())
}

/// One line a reading, with device and stream in it, in the order of time.
fn print(args: &Args, length: Duration) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let start = start(args);
    let mut homes: Vec<Home> = (1..=args.homes)
        .map(|number| Home::new(HomeOptions { seed: args.seed, number, faults: args.faults.clone() }))
        .collect();
    for second in 1..=length.as_secs() {
        let now = start.plus_micros(i64::try_from(second)?.saturating_mul(1_000_000));
        for home in &mut homes {
            for reading in home.step(now, 1.0) {
                let rest = reading.json.trim_start_matches('{');
                writeln!(
                    out,
                    "{{\"device\":\"{}\",\"stream\":\"{}\",{rest}",
                    reading.device, reading.stream
                )?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn start(args: &Args) -> Timestamp {
    let back = args.since.or(args.print).unwrap_or_default();
    // Whole seconds: devices report in them, and the same command prints the same text within a second.
    let now_s = SystemClock.now().micros() / 1_000_000;
    Timestamp((now_s - i64::try_from(back.as_secs()).unwrap_or(0)) * 1_000_000)
}

async fn publish(args: Args) -> anyhow::Result<()> {
    let (host, port) = host_and_port(&args.mqtt)?;
    let token = args.token.clone().ok_or_else(|| {
        Failure::Usage(
            "publishing needs a token\nhint: springhouse token create --data DIR --name sim --scope ingest"
                .into(),
        )
    })?;
    let start = start(&args);
    let warp = if args.since.is_some() { args.warp.unwrap_or(f64::INFINITY) } else { 1.0 };
    let mut fleet = Fleet::start(FleetOptions {
        homes: args.homes,
        seed: args.seed,
        faults: args.faults,
        pace: Pace { start, warp },
        host,
        port,
        tokens: vec![token],
        only_past: args.only_past,
    });
    let mut progress = Progress::new(start);
    let end = args.run_for.map(|length| Instant::now() + length);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let asked_to_end = runtime::asked_to_end();
    tokio::pin!(asked_to_end);
    loop {
        tokio::select! {
            ended = fleet.ended() => {
                ended.context("a home cannot publish")?;
                break;
            }
            _ = &mut asked_to_end => break,
            _ = tick.tick() => {
                progress.show(&fleet);
                if end.is_some_and(|end| Instant::now() >= end) {
                    break;
                }
            }
        }
    }
    progress.finish();
    let counters = std::sync::Arc::clone(&fleet.counters);
    fleet.stop().await;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (published, acknowledged) = (count(&counters.published), count(&counters.acknowledged));
    println!("{published} readings published, {acknowledged} acknowledged");
    if count(&counters.connects) == 0 {
        let reason = String::from("no home could connect; is the token right?");
        return Err(Failure::Unreachable { url: format!("mqtt://{}", args.mqtt), reason }.into());
    }
    Ok(())
}

fn host_and_port(text: &str) -> anyhow::Result<(String, u16)> {
    let wrong = || Failure::Usage(format!("`{text}` is not HOST:PORT; hint: 127.0.0.1:1883"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// What a person sees while waiting: a bar while the past is filled in, a counter afterwards.
struct Progress {
    bar: ProgressBar,
    start: Timestamp,
    begun_behind_s: u64,
    caught_up: bool,
}

impl Progress {
    fn new(start: Timestamp) -> Progress {
        let begun_behind_s = seconds_between(start, SystemClock.now());
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(begun_behind_s)
        } else {
            ProgressBar::hidden()
        };
        let caught_up = begun_behind_s < 60;
        bar.set_style(style(caught_up));
        Progress { bar, start, begun_behind_s, caught_up }
    }

    fn show(&mut self, fleet: &Fleet) {
        let at = fleet.simulated();
        if !self.caught_up && seconds_between(at, SystemClock.now()) < 5 {
            self.caught_up = true;
            self.bar.set_style(style(true));
        }
        self.bar.set_position(seconds_between(self.start, at).min(self.begun_behind_s));
        let acknowledged = fleet.counters.acknowledged.load(Ordering::Relaxed);
        self.bar.set_message(format!("{acknowledged} readings acknowledged"));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(caught_up: bool) -> ProgressStyle {
    let template = if caught_up {
        "{spinner} live, {msg}"
    } else {
        "filling in the past {wide_bar} {percent} %, {msg}, {eta} left"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to.micros() - from.micros()) / 1_000_000).unwrap_or(0)
}
