//! The gateway as its clients see it, over byte streams in memory; the house behind it opens and closes its valves as
//! the tests want.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acknowledgements;
mod client;
mod conformance;
mod house;
mod listeners;
mod malformed;
mod queues;
mod restarts;
mod sessions;
mod subscriptions;
mod tenancy;
mod wills;
