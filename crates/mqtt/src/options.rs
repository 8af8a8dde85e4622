//! The limits of the gateway. Every queue has one; the defaults fit a hub of a few thousand devices on a small machine.

use std::path::PathBuf;
use std::time::Duration;

/// Limits and habits of a gateway.
#[derive(Clone, Debug)]
pub struct Options {
    /// File in which session state is kept between journal events; `None` keeps no state over a restart.
    pub snapshot: Option<PathBuf>,
    /// How often the snapshot is renewed: bounds what has to be read from the log at start.
    pub snapshot_interval: Duration,
    /// Largest packet taken from a client, in bytes. 1 MiB holds any reading and keeps a flood small.
    pub packet_bytes_max: u32,
    /// Connections of the whole gateway, and of one remote address.
    pub connections_max: usize,
    pub connections_per_peer_max: usize,
    /// Sessions of one tenant, connected or not.
    pub sessions_max: usize,
    /// Sessions of one device, which needs one; some have a connection for each of their parts, and some take a new
    /// client id with every start.
    pub device_sessions_max: usize,
    /// Subscriptions of one session.
    pub subscriptions_max: usize,
    /// Bytes that wait for one session. QoS 0 may use half of it, so that it is dropped first.
    pub queued_bytes_max: usize,
    /// Retained messages of one tenant, in number and in bytes.
    pub retained_max: usize,
    pub retained_bytes_max: usize,
    /// Unacknowledged QoS 1 and 2 messages that a client may have in flight towards the gateway (MQTT 5 §3.2.2.3.3).
    pub receive_max: u16,
    /// Topic aliases that a client may use, and that the gateway uses towards a client which allows them.
    pub topic_alias_max: u16,
    /// Longest keep-alive in seconds; a client that asks for more, or for none, is told this one (MQTT 5 §3.2.2.3.14).
    pub keep_alive_max: Option<u16>,
    /// Longest life of a session without a connection, in seconds.
    pub session_expiry_max: u32,
    /// Time a client has for the TLS handshake and for its CONNECT.
    pub connect_timeout: Duration,
    /// Filters that nobody may subscribe to.
    pub refused_filters: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            snapshot: None,
            snapshot_interval: Duration::from_secs(20),
            packet_bytes_max: 1024 * 1024,
            connections_max: 50_000,
            connections_per_peer_max: 20_000,
            sessions_max: 100_000,
            device_sessions_max: 100,
            subscriptions_max: 1_000,
            queued_bytes_max: 4 * 1024 * 1024,
            retained_max: 100_000,
            retained_bytes_max: 64 * 1024 * 1024,
            receive_max: 1_024,
            topic_alias_max: 32,
            keep_alive_max: None,
            session_expiry_max: 7 * 24 * 3600,
            connect_timeout: Duration::from_secs(10),
            refused_filters: Vec::new(),
        }
    }
}
