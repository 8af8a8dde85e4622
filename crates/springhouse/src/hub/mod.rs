//! x
pub mod paths;
mod data_dir;
mod tls;
