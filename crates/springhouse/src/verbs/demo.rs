//! `springhouse demo`: a hub with simulated homes, and the link of its page.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use springhouse_model::Timestamp;
use springhouse_testkit::{Fault, Fleet, FleetOptions, Pace};

use super::link::welcome;
use super::token::from_now;
use crate::config::{self, HubFlags, Listen, Policy, Settings};
use crate::hub::{Hub, showcase};
use crate::{logging, runtime};

const LONG: &str = "\
Starts a hub on this machine with simulated homes that publish over real MQTT, a few pipelines and an alert, and prints \
a link that opens its page signed in. The data is kept in --data and goes on at the next start. When a port is taken, \
the next free one is used.";

const EXAMPLES: &str = "\
EXAMPLES
  springhouse demo
  springhouse demo --homes 200 --fault schema-change:0.0005 --fault drop-out:0.0002";

const DATA_DEFAULT: &str = "springhouse-data/demo";
/// Ports that are tried after the wanted one.
const PORTS_TRIED: u16 = 50;

#[derive(Debug, clap::Args)]
#[command(long_about = LONG, after_long_help = EXAMPLES)]
pub struct Args {
    /// Number of simulated homes
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    homes: u32,
    /// Seed of the homes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Let devices go wrong (see `springhouse sim --help`)
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    #[command(flatten)]
    flags: HubFlags,
}

pub fn carry_out(args: Args) -> anyhow::Result<()> {
    let mut flags = args.flags.clone();
    flags.policy.get_or_insert(Policy::Auto);
    // A demo is looked at on the page; what the hub has to say otherwise are warnings.
    flags.log.get_or_insert_with(|| String::from("warn"));
    let mut settings = config::settings_in(&flags, Path::new(DATA_DEFAULT))?;
    logging::start(settings.log.format, &settings.log.level)?;
    settings.mqtt.listen = free(settings.mqtt.listen, "MQTT")?;
    settings.http.listen = free(settings.http.listen, "HTTP")?;
    runtime::run_hub(settings.threads, live(args, settings))
}

async fn live(args: Args, settings: Settings) -> anyhow::Result<()> {
    let asked_to_end = runtime::asked_to_end();
    tokio::pin!(asked_to_end);
    let data = settings.data.clone();
    let mut hub = Hub::open(settings).await?;
    showcase::set_up(&hub).await.context("cannot set up the demo")?;
    let homes = start_homes(&args, &hub).await?;
    let secret = showcase::sign_in_secret(&hub).await?;
    print_welcome(&args, &hub, &secret, &data);
    let reason = tokio::select! {
        signal = &mut asked_to_end => signal?,
        failure = hub.failed() => return hub.end_failed(failure).await,
    };
    tracing::info!(reason, "ending");
    if let Some(homes) = homes {
        homes.stop().await;
    }
    hub.shut_down().await
}

async fn start_homes(args: &Args, hub: &Hub) -> anyhow::Result<Option<Fleet>> {
    let Some(mqtt) = hub.addresses().mqtt.filter(|_| args.homes > 0) else { return Ok(None) };
    let tokens = showcase::site_tokens(hub, args.homes).await?;
    Ok(Some(Fleet::start(FleetOptions {
        homes: args.homes,
        seed: args.seed,
        faults: args.faults.clone(),
        pace: Pace::live(now()),
        host: mqtt.ip().to_string(),
        port: mqtt.port(),
        tokens,
        only_past: false,
    })))
}

fn now() -> Timestamp {
    from_now(Duration::ZERO)
}

fn print_welcome(args: &Args, hub: &Hub, secret: &str, data: &Path) {
    let addresses = hub.addresses();
    let mqtt = addresses.mqtt.map_or_else(|| String::from("off"), |address| address.to_string());
    let page = addresses.page().map(|page| welcome(&page, secret)).unwrap_or_default();
    println!(
        "
Springhouse is running with {homes} simulated homes.

  MQTT    {mqtt}
  Data    {data}
  End     Ctrl-C; `springhouse demo` goes on with the same data

  Open the page (the link signs you in and is good once; another one: springhouse link --data {data}):

  {page}
",
        homes = args.homes,
        data = data.display(),
    );
}

/// The wanted address, or the next one of which the port is free.
fn free(wanted: Listen, what: &str) -> anyhow::Result<Listen> {
    let Some(address) = wanted.address() else { return Ok(wanted) };
    let candidates = std::iter::once(address.port())
        .chain((1..=PORTS_TRIED).filter_map(|step| address.port().checked_add(step)));
    for port in candidates {
        let candidate = SocketAddr::new(address.ip(), port);
        match TcpListener::bind(candidate) {
            Ok(_) => {
                if port != address.port() {
                    println!("{what} port {} is taken, using {port}", address.port());
                }
                return Ok(Listen::On(candidate));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot listen on {candidate} for {what}"));
            }
        }
    }
    anyhow::bail!(
        "no port from {} on is free for {what}\nhint: choose one by flag, see `springhouse demo --help`",
        address.port()
    )
}
