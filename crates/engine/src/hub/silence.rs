//! Windows that close although nothing comes.
//!
//! ```text
//!  last row                silence ≥ the stream's idle time, and long enough for the next window to close
//!  ──●──────────────────────────────────────────────────●─▶ clock
//!    ts = 12:00:07                                      └─▶ mark in the log: "event time has come to 12:01:05"
//! ```
//! While a stream is silent its time goes on with the clock, from its last row on. What that closes must not depend on
//! the clock of whoever computes it again: so the passing of time is written into the log, as a record of kind `Marks`
//! of the stream, and every pipeline that reads the stream, also one that is created later, closes its windows at
//! that record. A mark is written only when a window waits for it, and says no more than that window needs.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// What a mark begins with: other marks of a stream may follow.
const TAG: &[u8; 4] = b"TIME";

/// The mark that says that event time has come so far.
pub(crate) fn mark(event_time: i64) -> Bytes {
    let mut bytes = TAG.to_vec();
    bytes.extend_from_slice(&event_time.to_le_bytes());
    Bytes::from(bytes)
}

/// The event time of a mark; `None` for marks of another kind.
pub(crate) fn marked(payload: &[u8]) -> Option<i64> {
    let time = payload.strip_prefix(TAG)?;
    Some(i64::from_le_bytes(time.try_into().ok()?))
}

/// How long a stream has been silent, as one of its readers sees it.
pub(crate) struct Silence {
    idle: Option<Duration>,
    since: Instant,
    /// Event time when it began, `i64::MIN` without a row before.
    event_time: i64,
}

impl Silence {
    /// Begins with the start of the reader: what happened while it was away is not known.
    pub(crate) fn new(idle_us: Option<i64>, event_time: i64) -> Silence {
        let idle = idle_us.map(|micros| Duration::from_micros(micros.max(0).unsigned_abs()));
        Silence { idle, since: Instant::now(), event_time }
    }

    /// A row has come.
    pub(crate) fn broken(&mut self, event_time: i64) {
        self.since = Instant::now();
        self.event_time = event_time;
    }

    /// How long it takes from now on until event time has come to `event_time`.
    pub(crate) fn until(&self, event_time: i64) -> Option<Duration> {
        let missing = match self.event_time {
            // A stream that never had a row holds others back as long as it is not idle.
            i64::MIN => 0,
            since => event_time.saturating_sub(since).max(0).unsigned_abs(),
        };
        let needed = self.idle?.max(Duration::from_micros(missing));
        Some(needed.saturating_sub(self.since.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_others_are_left_alone() {
        for time in [0, -5, i64::MAX] {
            assert_eq!(marked(&mark(time)), Some(time));
        }
        assert_eq!(marked(b"TIME123"), None);
        assert_eq!(marked(b"GAPS12345678"), None);
    }

    #[test]
    fn time_passes_with_the_clock_and_not_before_the_stream_is_idle() {
        let silence = Silence::new(Some(3_600_000_000), 1_000_000);
        let hour = Duration::from_secs(3_600);
        let about = |wait: Option<Duration>, expected: Duration| {
            let wait = wait.unwrap();
            assert!(wait <= expected && wait + Duration::from_secs(60) > expected, "{wait:?}");
        };
        about(silence.until(2_000_000), hour);
        about(silence.until(1_000_000 + 7_200_000_000), 2 * hour);
        about(silence.until(i64::MIN), hour);
        assert_eq!(Silence::new(None, 0).until(0), None);
    }
}
