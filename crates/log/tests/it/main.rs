//! The log from outside: its contract, crashes at every moment, failing disks, the fuzz corpus.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod corpus;
mod crash;
mod faults;
mod files;
mod support;
