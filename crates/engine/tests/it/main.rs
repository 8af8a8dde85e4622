//! The engine on a log, and over files.

mod dice;
mod hub;
mod pipelines;
mod restarts;
mod silence;
