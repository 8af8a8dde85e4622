//! The engine on a log, and over files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregates;
mod case;
mod dice;
mod files;
mod hub;
mod manual;
mod pipelines;
mod restarts;
mod silence;
mod slt;
mod windows;
