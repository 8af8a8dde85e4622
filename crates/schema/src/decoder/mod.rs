//! From JSON to columns in one pass.
//!
//! ```text
//!                  ┌─ quick: bytes as they mostly come ─┐
//! payload ──utf-8?─┤   gives up │ cut back              ├─keys by Plan──▶ builders of Rows ──finish──▶ RecordBatch
//!                  └────────────▶ serde_json ───────────┘
//!                                     └─ anything wrong: Rows are cut back to before the message, a Rejection comes out
//! ```
//! There is no intermediate value: both readers push straight into the builders. Keys are first compared with the key
//! that stood at this place in the message before, because devices repeat themselves; only a difference is looked up.
//! What is accepted and how a refusal reads is decided by the way of serde_json alone; the first try takes what is
//! beyond doubt. What is decoded here is only shape and type; who sent it and where it goes is decided by the caller.

mod builder;
mod cursor;
mod number;
mod plan;
mod quick;
mod rows;
mod state;
mod system;
mod text;
mod time;
mod utc;
mod visit;

use std::sync::Arc;

use serde::de::DeserializeSeed;
use springhouse_model::Timestamp;

use crate::{Reason, Rejection, Schema};
use cursor::{Extent, GiveUp};
use plan::Plan;
pub use rows::Rows;
use state::State;
pub use time::TimeBounds;
use visit::Message;

/// Whether the sender is known before the payload is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The hub: device and site come from the identity; `device` and `site` in a payload are ordinary properties.
    Identity,
    /// Files: `device` and `site` in a line are the device and the site.
    File,
}

/// Bounds on one message. A message beyond them is refused, whatever its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub payload_bytes_max: usize,
    /// Rows that one array may carry.
    pub rows_max: usize,
    /// Rows times columns of one message: bounds what a payload of many empty objects can unfold to.
    pub cells_max: usize,
    /// Objects inside objects become columns down to this depth.
    pub object_depth_max: u8,
    /// Arrays and the objects in them, kept as JSON text.
    pub array_depth_max: u8,
    pub time: TimeBounds,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            payload_bytes_max: 1 << 20,
            rows_max: 10_000,
            cells_max: 1_000_000,
            object_depth_max: 8,
            array_depth_max: 16,
            time: TimeBounds::default(),
        }
    }
}

/// What is known of a message besides its payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    pub device: Option<&'a str>,
    pub site: Option<&'a str>,
    /// Arrival; stands in for a missing event time. Without it (files) an event time is required.
    pub received: Option<Timestamp>,
    pub id: Option<&'a str>,
    /// Partition of the device; ignored in [`Mode::File`], where the device is read from the line.
    pub partition: u8,
}

/// Decodes messages of one stream by one version of its schema and gathers their rows.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
    rows: Rows,
    limits: Limits,
    /// As many rows as the last batch had, of one who takes batch after batch; others have what they gather for long.
    expected: usize,
}

/// What the first try took.
struct Read {
    bytes: usize,
    rows: usize,
}

impl Decoder {
    pub fn new(schema: Arc<Schema>, mode: Mode, limits: Limits) -> Decoder {
        Decoder { rows: Rows::default(), plan: Plan::new(schema, mode), limits, expected: 0 }
    }

    pub fn schema(&self) -> &Arc<Schema> {
        self.plan.schema()
    }

    /// Adds the rows of one message and returns how many; or adds nothing and says why.
    pub fn decode(&mut self, origin: &Origin<'_>, payload: &[u8]) -> Result<usize, Rejection> {
        if payload.len() > self.limits.payload_bytes_max {
            let detail =
                format!("{} bytes, at most {} are allowed", payload.len(), self.limits.payload_bytes_max);
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        match std::str::from_utf8(payload) {
            Ok(text) => self.decode_text(origin, text),
            Err(error) => {
                let detail = format!("not text from byte {} on", error.valid_up_to());
                Err(Rejection::new(Reason::NotUtf8, detail))
            }
        }
    }

    /// Adds the rows of newline-delimited JSON; blank lines are skipped. A line that does not fit is handed to `refused` with
    /// its index in `text`, the line and the reason. Returns the number of lines that were taken.
    pub fn decode_lines(
        &mut self,
        origin: &Origin<'_>,
        text: &[u8],
        mut refused: impl FnMut(usize, &[u8], Rejection),
    ) -> usize {
        let mut taken = 0;
        let mut take = |index: usize, line: &[u8], outcome: Result<usize, Rejection>| match outcome {
            Ok(_) => taken += 1,
            Err(rejection) => refused(index, line, rejection),
        };
        match std::str::from_utf8(text) {
            // Checked as a whole: no line is checked again.
            Ok(text) => {
                let (mut begin, mut index) = (0, 0);
                while begin < text.len() {
                    let rest = &text[begin..];
                    let end = match self.first_try(origin, rest, Extent::Line) {
                        Some(read) => {
                            take(index, &rest.as_bytes()[..read.bytes], Ok(read.rows));
                            read.bytes
                        }
                        None => {
                            let end = rest.find('\n').unwrap_or(rest.len());
                            let line = &rest[..end];
                            if !is_blank(line.as_bytes()) {
                                take(index, line.as_bytes(), self.decide(origin, line));
                            }
                            end
                        }
                    };
                    begin += end + 1;
                    index += 1;
                }
            }
            Err(_) => {
                for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
                    if !is_blank(line) {
                        take(index, line, self.decode(origin, line));
                    }
                }
            }
        }
        taken
    }

    fn decode_text(&mut self, origin: &Origin<'_>, text: &str) -> Result<usize, Rejection> {
        match self.first_try(origin, text, Extent::Text) {
            Some(read) => Ok(read.rows),
            None => self.decide(origin, text),
        }
    }

    /// Adds the rows of a message that looks as most do; `None` says nothing about it and leaves nothing behind.
    #[inline]
    fn first_try(&mut self, origin: &Origin<'_>, text: &str, extent: Extent) -> Option<Read> {
        let built = self.rows.prepare(&self.plan, self.expected);
        let before = built.len();
        let mut state = State::new(&mut self.plan, built, origin, &self.limits);
        let outcome = quick::read(&mut state, text, extent);
        match outcome {
            Ok(bytes) => {
                let rows = self.rows.len() - before;
                self.rows.count_bytes(origin, bytes, rows);
                Some(Read { bytes, rows })
            }
            Err(GiveUp) => {
                self.rows.truncate(before);
                None
            }
        }
    }

    /// Adds the rows of a message, or says why not.
    pub(crate) fn decide(&mut self, origin: &Origin<'_>, text: &str) -> Result<usize, Rejection> {
        let built = self.rows.prepare(&self.plan, self.expected);
        let before = built.len();
        let mut state = State::new(&mut self.plan, built, origin, &self.limits);
        let mut json = serde_json::Deserializer::from_str(text);
        let outcome = Message(&mut state).deserialize(&mut json).and_then(|()| json.end());
        match outcome {
            Ok(()) => {
                let added = self.rows.len() - before;
                self.rows.count_bytes(origin, text.len(), added);
                Ok(added)
            }
            Err(error) => {
                let rejection = state.failure.take().unwrap_or_else(|| syntax_rejection(&error));
                self.rows.truncate(before);
                Err(rejection)
            }
        }
    }

    /// Rows that are waiting in the builders.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Estimate of the memory that the waiting rows take, never less than their payloads.
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    /// Hands out the waiting rows and starts anew; moves no data, so that it can be done under a lock.
    pub fn take(&mut self) -> Rows {
        std::mem::take(&mut self.rows)
    }

    /// The waiting rows as a batch.
    pub fn finish(&mut self) -> Result<arrow::record_batch::RecordBatch, arrow::error::ArrowError> {
        self.rows.prepare(&self.plan, self.expected);
        self.expected = self.rows.len();
        self.take().finish().map(|(batch, _)| batch)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// What serde_json refuses by itself. Its texts are the only way to tell these apart; a test holds them fast.
pub(crate) fn syntax_rejection(error: &serde_json::Error) -> Rejection {
    let text = error.to_string();
    let reason = if text.starts_with("recursion limit exceeded") {
        Reason::TooDeep
    } else if text.starts_with("number out of range") {
        Reason::NotFinite
    } else {
        Reason::NotJson
    };
    Rejection::new(reason, text)
}
