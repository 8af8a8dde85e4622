//! How the door is set.

use std::time::Duration;

use springhouse_schema::Limits;

use crate::Route;

/// What becomes of a device or stream that is seen for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// Registered as pending: it is taken and charted, its schema learns, and approval freezes it.
    #[default]
    Approve,
    /// Registered as approved; its schema goes on growing by compatible additions.
    Auto,
    /// Quarantined until somebody registers it.
    Refuse,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub admission: Admission,
    /// Tried in this order; the default route `devices/{device}/{stream}` is always the last.
    pub routes: Vec<Route>,
    pub limits: Limits,
    /// Readings that wait for their commit in one shard. A shard may exceed it by one message. The commit that is being
    /// written takes as much again.
    pub shard_bytes: usize,
    /// Worker queues; a principal always uses the same one, so that its messages keep their order.
    pub shards: usize,
    /// Message ids remembered for each device, and for how long.
    pub dedup_ids: usize,
    pub dedup_age: Duration,
    /// At a start, how many of the log's last records are read to remember message ids: bounds the time of a start.
    pub dedup_records_max: u64,
    /// And how many rows and bytes, about.
    pub dedup_rows_max: u64,
    pub dedup_bytes_max: u64,
    /// Streams that messages may add to a tenant; more are quarantined.
    pub streams_max: usize,
    /// Devices that messages may add to a tenant.
    pub devices_max: usize,
    /// Payload bytes of quarantined messages that wait for a person, for each tenant; beyond, the oldest go.
    pub inbox_bytes_max: u64,
    /// How long after which the log is asked again when its disk is full.
    pub full_retry: Duration,
    /// How often the devices' last signs of life are written down.
    pub touch_interval: Duration,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            admission: Admission::default(),
            routes: Vec::new(),
            limits: Limits::default(),
            // A commit of 4 MiB is some 20,000 readings: enough to make the sync cheap, too little to be felt.
            shard_bytes: 4 << 20,
            shards: threads.clamp(1, 16),
            dedup_ids: 1_024,
            dedup_age: Duration::from_secs(3_600),
            dedup_records_max: 20_000,
            dedup_rows_max: 300_000,
            // As they are in memory: about half a second to read and decode.
            dedup_bytes_max: 512 << 20,
            streams_max: 1_000,
            devices_max: 100_000,
            inbox_bytes_max: 256 << 20,
            full_retry: Duration::from_millis(250),
            touch_interval: Duration::from_secs(10),
        }
    }
}
