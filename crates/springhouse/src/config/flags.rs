//! The flags of a hub, and the environment variables behind them.

use std::path::PathBuf;

use super::{Listen, Policy};
use crate::logging::LogFormat;

#[derive(Clone, Debug, Default, clap::Args)]
pub struct HubFlags {
    /// Directory of the hub's data; made when it is not there [default: springhouse-data]
    #[arg(long, env = "SPRINGHOUSE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Configuration file [default: DATA/springhouse.toml, then /etc/springhouse/springhouse.toml]
    #[arg(long, env = "SPRINGHOUSE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// MQTT without encryption, for this machine; `off` for none [default: 127.0.0.1:1883]
    #[arg(long, env = "SPRINGHOUSE_MQTT", value_name = "ADDRESS")]
    pub mqtt: Option<Listen>,

    /// MQTT over TLS; the certificate is DATA/tls/server.pem, made when it is not there [default: off]
    #[arg(long, env = "SPRINGHOUSE_MQTTS", value_name = "ADDRESS")]
    pub mqtts: Option<Listen>,

    /// REST API, page and MQTT over WebSocket; `off` for none [default: 127.0.0.1:8080]
    #[arg(long, env = "SPRINGHOUSE_HTTP", value_name = "ADDRESS")]
    pub http: Option<Listen>,

    /// The same over TLS, with the same certificate as --mqtts [default: off]
    #[arg(long, env = "SPRINGHOUSE_HTTPS", value_name = "ADDRESS")]
    pub https: Option<Listen>,

    /// Allow --mqtt and --http to be reached from other machines, unencrypted; passwords and tokens can be read on the way
    #[arg(long, env = "SPRINGHOUSE_PLAIN_OK", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub plain_ok: Option<bool>,

    /// Devices and streams that are seen first [default: auto when only this machine can reach the hub, otherwise approve]
    #[arg(long, env = "SPRINGHOUSE_POLICY", value_enum, value_name = "POLICY")]
    pub policy: Option<Policy>,

    /// Level of the log, or a filter such as `info,springhouse_mqtt=debug` [default: info]
    #[arg(long, env = "SPRINGHOUSE_LOG", value_name = "LEVEL")]
    pub log: Option<String>,

    /// Form of the log on standard error [default: text]
    #[arg(long, env = "SPRINGHOUSE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}
