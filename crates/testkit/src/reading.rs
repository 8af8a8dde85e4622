//! What a device says: fields while it can still be spoilt by a fault, bytes when it leaves.

use std::fmt::Write;

use springhouse_model::Timestamp;

/// One message of a device, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub device: String,
    pub stream: &'static str,
    pub ts: Timestamp,
    pub json: String,
}

impl Reading {
    /// `devices/{device}/{stream}`.
    pub fn topic(&self) -> String {
        format!("devices/{}/{}", self.device, self.stream)
    }

    /// The same for the same measurement, so that a reading that is sent again is known.
    pub fn message_id(&self) -> String {
        format!("{}-{}", self.stream, self.ts.micros())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    /// Value and the number of decimals that the device reports.
    Number(f64, usize),
    Flag(bool),
    Text(String),
}

/// A reading before it is written as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub device: String,
    pub stream: &'static str,
    pub ts: Timestamp,
    pub fields: Vec<(&'static str, Field)>,
}

impl Sample {
    pub fn into_reading(self) -> Reading {
        let mut json = String::with_capacity(96);
        let _ = write!(json, "{{\"ts\":{}", self.ts.micros() / 1_000);
        for (name, field) in &self.fields {
            let _ = match field {
                // Decimals even when they are zero: a schema inferred from the first message stays a float.
                Field::Number(value, decimals) => write!(json, ",\"{name}\":{value:.decimals$}"),
                Field::Flag(value) => write!(json, ",\"{name}\":{value}"),
                Field::Text(value) => write!(json, ",\"{name}\":\"{value}\""),
            };
        }
        json.push('}');
        Reading { device: self.device, stream: self.stream, ts: self.ts, json }
    }
}
