//! What the lake promises, one file for each promise.

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
