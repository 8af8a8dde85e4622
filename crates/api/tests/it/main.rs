//! The API as its callers meet it: every part of the hub behind it is the real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod backtest;
mod client;
mod components;
mod delivery;
mod door;
mod functions;
mod house;
mod mqtt;
mod overview;
mod pipelines;
mod problems;
mod proposal;
mod quarantine;
mod routes;
mod slow_log;
mod socket;
mod sql;
mod streams;
mod tables;
mod tail;
mod tenancy;
