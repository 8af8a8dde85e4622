//! The engine on a log, and over files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregates;
mod alerts;
mod broken;
mod case;
mod changes;
mod components;
mod counted;
mod dice;
mod early;
mod files;
mod functions;
mod hub;
mod joins;
mod looking;
mod manual;
mod nexmark;
mod over;
mod patterns;
mod pipelines;
mod readings;
mod reference;
mod replacements;
mod resample;
mod restarts;
mod riotbench;
mod scans;
mod signals;
mod silence;
mod slt;
mod tables;
mod windows;
