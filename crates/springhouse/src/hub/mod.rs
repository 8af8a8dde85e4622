//! Parts of a hub.

mod data_dir;
pub mod paths;
mod tls;
