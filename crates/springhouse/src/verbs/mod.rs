//! One file per verb: its arguments, and the call that carries it out.

pub mod apply;
pub mod backtest;
pub mod config;
pub mod demo;
pub mod device;
pub mod function;
pub mod hub;
pub mod link;
pub mod pipeline;
mod preview;
pub mod quarantine;
pub mod run;
pub mod schema;
pub mod sim;
pub mod sql;
pub mod status;
mod steps;
pub mod stream;
pub mod table;
mod tap;
pub mod token;

use crate::cli::{Cli, Verb};

/// Carries out what the command line asks for.
pub fn carry_out(cli: Cli) -> anyhow::Result<()> {
    match cli.verb {
        Verb::Hub(args) => hub::carry_out(args),
        Verb::Demo(args) => demo::carry_out(args),
        Verb::Sim(args) => sim::carry_out(args),
        Verb::Run(args) => run::carry_out(args),
        Verb::Sql(args) => sql::carry_out(args),
        Verb::Device(args) => device::carry_out(args),
        Verb::Stream(args) => stream::carry_out(args),
        Verb::Schema(args) => schema::carry_out(args),
        Verb::Table(args) => table::carry_out(args),
        Verb::Function(args) => function::carry_out(args),
        Verb::Pipeline(args) => pipeline::carry_out(args),
        Verb::Quarantine(args) => quarantine::carry_out(args),
        Verb::Token(args) => token::carry_out(args),
        Verb::Link(args) => link::carry_out(args),
        Verb::Config(args) => config::carry_out(args),
        Verb::Status(args) => status::carry_out(args),
    }
}
