//! Event time as devices write it, and which of it is believed.

use springhouse_model::Timestamp;

use super::utc;
use crate::{Reason, Rejection};

const DAY_US: i64 = 86_400_000_000;

/// Event times outside are refused: a clock that starts in 1970 or has run away to 2106 would otherwise close every
/// window behind it or keep windows open for decades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    pub oldest: Timestamp,
    /// How far a device's clock may be ahead of the arrival.
    pub ahead_us_max: i64,
}

impl Default for TimeBounds {
    /// From 2000-01-01 (recordings are older than the hub) to one day ahead (time zones mistaken for UTC).
    fn default() -> TimeBounds {
        TimeBounds { oldest: Timestamp(946_684_800_000_000), ahead_us_max: DAY_US }
    }
}

impl TimeBounds {
    #[inline]
    pub(super) fn check(&self, time: i64, received: Option<Timestamp>) -> Result<(), Rejection> {
        // An arrival that is not believed itself (a hub without a battery for its clock, before it has heard the time) says
        // nothing about a device's clock.
        let received = received.filter(|arrival| *arrival >= self.oldest);
        let latest = received.map_or(i64::MAX, |arrival| arrival.plus_micros(self.ahead_us_max).micros());
        match time >= self.oldest.micros() && time <= latest {
            true => Ok(()),
            false => Err(Rejection::new(Reason::TimeOutOfRange, format!("`ts` is {}", Timestamp(time)))),
        }
    }
}

/// Epoch seconds, milliseconds or microseconds, by magnitude.
#[inline]
pub(super) fn from_integer(number: i64) -> i64 {
    Timestamp::from_epoch_number(number).micros()
}

/// As [`from_integer`], with fractions; microseconds are the finest that is kept.
pub(super) fn from_fraction(number: f64) -> i64 {
    let scale = match number.abs() {
        magnitude if magnitude < 1e11 => 1e6,
        magnitude if magnitude < 1e14 => 1e3,
        _ => 1.0,
    };
    // `as` saturates, so that the farthest times stay far away.
    (number * scale).round() as i64
}

#[inline]
pub(super) fn from_text(text: &str) -> Option<i64> {
    utc::parse(text).or_else(|| Timestamp::parse_rfc3339(text).map(Timestamp::micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_seconds_and_milliseconds_are_kept() {
        assert_eq!(from_fraction(1_767_225_600.25), 1_767_225_600_250_000);
        assert_eq!(from_fraction(1_767_225_600_000.5), 1_767_225_600_000_500);
        assert_eq!(from_fraction(1e300), i64::MAX);
    }

    #[test]
    fn a_hub_that_does_not_know_the_time_believes_the_device() {
        let bounds = TimeBounds::default();
        let reading = from_text("2026-01-01T00:00:00Z").unwrap();
        let arrival = Timestamp::parse_rfc3339("1970-01-01T00:01:00Z");
        assert!(bounds.check(reading, arrival).is_ok());
        assert!(bounds.check(arrival.unwrap().micros(), arrival).is_err(), "its own time is not believed");
    }

    #[test]
    fn clocks_of_1970_and_2106_are_not_believed() {
        let bounds = TimeBounds::default();
        let arrival = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        for (time, expected) in [
            ("1970-01-01T00:00:07Z", false),
            ("1999-12-31T23:59:59Z", false),
            ("2000-01-01T00:00:00Z", true),
            ("2026-01-02T00:00:00Z", true),
            ("2026-01-02T00:00:01Z", false),
            ("2106-02-07T06:28:15Z", false),
        ] {
            let micros = from_text(time).unwrap();
            assert_eq!(bounds.check(micros, Some(arrival)).is_ok(), expected, "{time}");
        }
    }
}
