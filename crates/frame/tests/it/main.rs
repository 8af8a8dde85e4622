//! Frames from outside: exact round trips, hostile bytes, the fuzz corpus.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;
mod hostile;
mod round_trip;
