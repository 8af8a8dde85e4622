//! How fast the streams flow: rows per minute of each, and how long a reading takes from its arrival to an open
//! page. Read off the log as it grows, so that every way in and every pipeline counts alike.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use springhouse_log::{Kind, Log, LogError, PACE, Reader};
use springhouse_model::{Clock, Timestamp};
use tokio::sync::watch;

use crate::serve::announced;

/// The window of a rate.
const SECONDS: usize = 60;
/// Enough samples for a 99th percentile that does not jump.
const SAMPLES: usize = 1_000;
const READ_BYTES: usize = 4 * 1024 * 1024;
/// After an error of the log, which is rare and lasts.
const PAUSE: Duration = Duration::from_millis(500);

/// The rows of the last minute, by second.
#[derive(Clone)]
struct Flow {
    seconds: [u64; SECONDS],
    /// The second of the last row.
    last: i64,
    last_at: Timestamp,
}

impl Flow {
    fn new() -> Flow {
        Flow { seconds: [0; SECONDS], last: 0, last_at: Timestamp(0) }
    }

    fn add(&mut self, at: Timestamp, rows: u64) {
        let second = at.micros().div_euclid(1_000_000);
        // Slots of the seconds in between belonged to the minute before.
        for stale in (self.last + 1..=second).rev().take(SECONDS) {
            self.seconds[slot(stale)] = 0;
        }
        if second > self.last - SECONDS as i64 {
            self.seconds[slot(second)] += rows;
        }
        self.last = self.last.max(second);
        self.last_at = self.last_at.max(at);
    }

    fn rows_per_minute(&self, now: Timestamp) -> u64 {
        let now = now.micros().div_euclid(1_000_000);
        let oldest = (now - SECONDS as i64 + 1).max(self.last - SECONDS as i64 + 1);
        (oldest..=self.last.min(now)).map(|second| self.seconds[slot(second)]).sum()
    }
}

fn slot(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

/// What the page wants to know about a stream's flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamPulse {
    pub rows_per_minute: u64,
    /// When the last row was appended in this run of the hub.
    pub last_at: Option<Timestamp>,
}

#[derive(Clone, Default)]
pub(crate) struct Pulse {
    flows: Arc<Mutex<HashMap<u32, Flow>>>,
    latencies: Arc<Mutex<Latencies>>,
}

#[derive(Default)]
struct Latencies {
    samples: Vec<(Timestamp, u32)>,
    next: usize,
}

impl Pulse {
    pub fn start(log: Arc<dyn Log>, clock: Arc<dyn Clock>, shutdown: watch::Receiver<bool>) -> Pulse {
        let pulse = Pulse::default();
        // The minute before the start counts too.
        let minute_ago = clock.now().plus_micros(-(SECONDS as i64) * 1_000_000);
        let from = log.offset_at(minute_ago).unwrap_or_else(|_| log.end());
        tokio::spawn(pulse.clone().follow(Reader::new(Arc::clone(&log), from).paced(PACE), log, shutdown));
        pulse
    }

    async fn follow(self, mut reader: Reader, log: Arc<dyn Log>, mut shutdown: watch::Receiver<bool>) {
        loop {
            let read = tokio::select! {
                read = reader.next(READ_BYTES) => read,
                () = announced(&mut shutdown) => return,
            };
            match read {
                Ok(records) => {
                    let mut flows = self.flows.lock();
                    for record in records.iter().filter(|record| record.kind == Kind::Readings) {
                        let flow = flows.entry(record.stream).or_insert_with(Flow::new);
                        flow.add(record.appended_at, record.rows());
                    }
                }
                Err(LogError::Closed) => return,
                Err(error) => {
                    tracing::debug!(%error, "rates skip a part of the log");
                    reader.seek(log.end());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    pub fn stream(&self, id: u32, now: Timestamp) -> StreamPulse {
        match self.flows.lock().get(&id) {
            None => StreamPulse::default(),
            Some(flow) => {
                StreamPulse { rows_per_minute: flow.rows_per_minute(now), last_at: Some(flow.last_at) }
            }
        }
    }

    /// Records that a reading that arrived at `received` has been handed to a page.
    pub fn shown(&self, received: Timestamp, now: Timestamp) {
        let took = u32::try_from(now.micros().saturating_sub(received.micros()).max(0)).unwrap_or(u32::MAX);
        metrics::histogram!("springhouse_tail_latency_seconds").record(f64::from(took) / 1e6);
        let mut latencies = self.latencies.lock();
        if latencies.samples.len() < SAMPLES {
            latencies.samples.push((now, took));
        } else {
            let next = latencies.next;
            latencies.samples[next] = (now, took);
            latencies.next = (next + 1) % SAMPLES;
        }
    }

    /// The 99th percentile over the last minute, in milliseconds; `None` when no page was open.
    pub fn shown_p99_ms(&self, now: Timestamp) -> Option<f64> {
        let since = now.plus_micros(-(SECONDS as i64) * 1_000_000);
        let mut recent: Vec<u32> = self
            .latencies
            .lock()
            .samples
            .iter()
            .filter(|(at, _)| *at >= since)
            .map(|(_, took)| *took)
            .collect();
        let rank = (recent.len() * 99).div_ceil(100).checked_sub(1)?;
        let (_, took, _) = recent.select_nth_unstable(rank);
        Some(f64::from(*took / 100) / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    #[test]
    fn a_rate_counts_the_last_minute_and_no_more() {
        let mut flow = Flow::new();
        for second in 1_000..1_100 {
            flow.add(at(second), 2);
        }
        assert_eq!(flow.rows_per_minute(at(1_099)), 120);
        assert_eq!(flow.rows_per_minute(at(1_129)), 60);
        assert_eq!(flow.rows_per_minute(at(2_000)), 0);
        flow.add(at(2_000), 5);
        assert_eq!(flow.rows_per_minute(at(2_000)), 5);
        flow.add(at(1_990), 1);
        assert_eq!(flow.rows_per_minute(at(2_000)), 6);
    }

    #[test]
    fn the_99th_percentile_is_of_the_last_minute() {
        let pulse = Pulse::default();
        assert_eq!(pulse.shown_p99_ms(at(0)), None);
        for n in 1..=100 {
            pulse.shown(Timestamp(1_000_000), Timestamp(1_000_000 + n * 1_000));
        }
        assert_eq!(pulse.shown_p99_ms(at(2)), Some(99.0));
        assert_eq!(pulse.shown_p99_ms(at(100)), None);
    }
}
