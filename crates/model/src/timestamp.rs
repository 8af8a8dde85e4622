//! Points in time as the platform keeps them: microseconds since the Unix epoch, UTC.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z. Serialized as RFC 3339 in text formats.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.saturating_mul(1_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339; the offset is honoured and forgotten.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Timestamp(time.timestamp_micros()))
    }

    /// Reads a number as epoch time by its magnitude: below 10^11 seconds, below 10^14 milliseconds, otherwise
    /// microseconds. The bounds lie in the year 5138, so that no time of a device's life is read in a wrong unit.
    pub const fn from_epoch_number(number: i64) -> Timestamp {
        match number.unsigned_abs() {
            magnitude if magnitude < 100_000_000_000 => Timestamp(number * 1_000_000),
            magnitude if magnitude < 100_000_000_000_000 => Timestamp(number * 1_000),
            _ => Timestamp(number),
        }
    }

    pub const fn plus_micros(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse_rfc3339(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_numbers_are_read_by_magnitude() {
        let noon = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        for number in [1_767_268_800, 1_767_268_800_000, 1_767_268_800_000_000] {
            assert_eq!(Timestamp::from_epoch_number(number), noon);
        }
    }

    #[test]
    fn text_round_trips_and_honours_the_offset() {
        let time = Timestamp::parse_rfc3339("2026-01-01T13:00:00.25+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-01-01T12:00:00.250Z");
    }
}
