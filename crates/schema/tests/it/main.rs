//! The decoder against an independent model of what it should do, and its corners.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod both_readers;
mod corners;
mod files;
mod model;
