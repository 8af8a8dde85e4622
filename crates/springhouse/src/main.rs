//! `springhouse`: configuration, wiring and the command line. No logic of its own.
//!
//! One file per verb in [`verbs`]; [`hub`] puts the crates together; [`config`] decides with what numbers.

mod cli;
mod client;
mod config;
mod failure;
mod hub;
mod logging;
mod runtime;
mod table;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match verbs::carry_out(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
