//! The program from outside: real processes, real clients, and the shape of the repository.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod certificates;
mod commands;
mod credentials;
mod data_directory;
mod files;
mod hub;
mod kill;
mod program;
mod shape;
mod tables;
mod way;
