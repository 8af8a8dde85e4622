//! Streaming SQL: statements in, derived streams out.

pub mod statement;
