//! Promises of the door, each as a sentence.

mod admission;
mod bad_input;
mod dedup;
mod derived;
mod durability;
mod growth;
mod hub;
mod quarantine;
