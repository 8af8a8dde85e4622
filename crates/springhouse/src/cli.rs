//! The command line as a whole; the arguments of a verb are in the verb's file.

use clap::{Parser, Subcommand};

use crate::verbs::{
    config, demo, device, function, hub, link, pipeline, quarantine, run, schema, sim, sql, status, stream,
    table, token,
};

const MANUAL: &str = "\
Springhouse keeps the stream of an organisation's devices clean, cool and private where it rises: one program takes \
devices from MQTT to live answers and alerts, on the owner's own hardware, and sends nothing anywhere.

`springhouse demo` shows it with simulated homes. `springhouse hub` runs it for real. The other verbs talk to a \
running hub through the same REST API as the page.";

const MANUAL_END: &str = "\
EXAMPLES
  See it live:                    springhouse demo
  Run a hub:                      springhouse hub --data /var/lib/springhouse --mqtts 0.0.0.0:8883
  A token for a gateway:          springhouse token create --data /var/lib/springhouse --name zigbee --scope ingest
  Ask:                            springhouse sql 'SELECT device, avg(power) FROM meter GROUP BY device'
  Every minute from now on:       springhouse pipeline create 'CREATE PIPELINE m INTO meter_1m AS SELECT …'
  The same SQL over a file:       springhouse run q.sql --from homes=events.ndjson --to out.ndjson --stats

CONFIGURATION
  In order of weight: flags, environment, file, defaults. The file is --config FILE, or DATA/springhouse.toml, or
  /etc/springhouse/springhouse.toml. `springhouse config` prints what results from them, in the form of a file.

ENVIRONMENT
  SPRINGHOUSE_DATA, _CONFIG, _MQTT, _MQTTS, _HTTP, _HTTPS, _PLAIN_OK, _POLICY, _LOG, _LOG_FORMAT   as the flags of `hub`
  SPRINGHOUSE_URL, SPRINGHOUSE_TOKEN                          the hub that the client verbs talk to, and their token

EXIT CODES
  0  done
  1  failed while working: disk, network, or a fault of the program
  2  the command line or the configuration is wrong; of `pipeline apply --plan`: there is something to do
  3  the data directory is in use by another hub, or was written by a newer version
  4  no hub answers at the URL
  5  the hub refused the request; its reason is printed";

#[derive(Debug, Parser)]
#[command(
    name = "springhouse",
    version,
    about = "Privacy-first, self-hosted, real-time IoT data platform",
    long_about = MANUAL,
    after_long_help = MANUAL_END,
    propagate_version = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a hub: MQTT, streams, SQL, alerts, API and page
    Hub(hub::Args),
    /// Show it: a hub with simulated homes, and a link to its page
    Demo(demo::Args),
    /// Publish simulated homes to a hub, or print them
    Sim(sim::Args),
    /// Run a SQL file over files or standard input, without a hub
    Run(run::Args),
    /// Ask a question in SQL, or carry out a statement
    Sql(sql::Args),
    /// Devices: list, add, approve, refuse, tokens
    Device(device::Args),
    /// Streams: list, create, approve, refuse, drop, tail
    Stream(stream::Args),
    /// Schemas of streams: show, set
    Schema(schema::Args),
    /// Tables that statements look up: list, show, load, refresh, drop
    Table(table::Args),
    /// Functions that statements call: list, show, create, drop
    Function(function::Args),
    /// Pipelines and alerts: list, create, preview, backtest, apply, roll back, drop
    Pipeline(pipeline::Args),
    /// Messages that did not fit: list, replay, purge
    Quarantine(quarantine::Args),
    /// Tokens for programs: create, list, revoke
    Token(token::Args),
    /// A one-time link to the page: set-up, or signing in without a password
    Link(link::Args),
    /// Print the configuration that flags, environment and file result in
    Config(config::Args),
    /// Tell whether a hub is alive and ready
    Status(status::Args),
}
