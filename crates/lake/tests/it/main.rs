//! What the lake promises, one file for each promise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod charts;
mod evolution;
mod failing_store;
mod files;
mod limits;
mod one_table;
mod pruning;
mod restart;
mod retention;
mod statements;
mod store;
mod tenants;
mod twin;
mod world;
