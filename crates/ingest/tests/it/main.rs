//! Promises of the door, each as a sentence.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admission;
mod bad_input;
mod dedup;
mod derived;
mod durability;
mod growth;
mod hub;
mod quarantine;
