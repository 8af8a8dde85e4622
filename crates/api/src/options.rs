//! What the binary decides for the API.

use std::path::PathBuf;
use std::time::Duration;

use springhouse_model::TenantId;

#[derive(Clone, Debug)]
pub struct Options {
    /// The tenant that the first person of the hub belongs to.
    pub tenant: TenantId,
    pub version: &'static str,
    /// Names under which people open the page, beside addresses and `localhost`. See `origin`.
    pub host_names: Vec<String>,
    /// A proxy in front speaks TLS with browsers: their cookies never travel without it.
    pub behind_tls: bool,
    /// Name of the listener that MQTT over WebSocket belongs to, as the gateway's configuration knows it.
    pub websocket_listener: String,
    /// Told to whoever connects a device.
    pub connect: Connect,
    /// Largest JSON body.
    pub body_bytes_max: usize,
    /// Largest payload of a reading; the same as over MQTT.
    pub payload_bytes_max: usize,
    /// Until the head of a response is there; a streamed body may take longer.
    pub request_timeout: Duration,
    /// How long a person stays signed in.
    pub session: Duration,
    /// Rows of one answer in JSON, which is built in memory; the streamed forms are not bounded.
    pub rows_max: usize,
    /// WebSockets of `/api/v1/tail`.
    pub tails_max: usize,
    /// The folder whose disk must not be full for the hub to be ready; `None` skips the check.
    pub data_dir: Option<PathBuf>,
    pub disk_free_bytes_min: u64,
}

/// Where devices connect.
#[derive(Clone, Debug)]
pub struct Connect {
    /// `None` is the host under which the page was opened.
    pub mqtt_host: Option<String>,
    pub mqtt_port: Option<u16>,
    pub mqtts_port: Option<u16>,
    /// `None` is the address under which the page was opened.
    pub http_url: Option<String>,
    pub https_port: Option<u16>,
    pub topic_template: String,
    /// The hub has a certificate authority of its own, which a client over TLS needs to know.
    pub ca_available: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tenant: TenantId::main(),
            version: env!("CARGO_PKG_VERSION"),
            host_names: Vec::new(),
            behind_tls: false,
            websocket_listener: String::from("websocket"),
            connect: Connect {
                mqtt_host: None,
                mqtt_port: Some(1883),
                mqtts_port: None,
                http_url: None,
                https_port: None,
                topic_template: String::from("devices/{device}/{stream}"),
                ca_available: false,
            },
            body_bytes_max: 1024 * 1024,
            payload_bytes_max: 1024 * 1024,
            request_timeout: Duration::from_secs(60),
            session: Duration::from_secs(14 * 24 * 3600),
            rows_max: 10_000,
            tails_max: 256,
            data_dir: None,
            disk_free_bytes_min: 256 * 1024 * 1024,
        }
    }
}
