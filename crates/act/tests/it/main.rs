//! Alerts from the log to the list that a person reads: every firing once, whatever happens in between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hub;
mod recording;
