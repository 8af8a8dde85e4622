//! Where what lies in a data directory.

use std::path::{Path, PathBuf};

pub fn lock(data: &Path) -> PathBuf {
    data.join("lock")
}

pub fn version(data: &Path) -> PathBuf {
    data.join("VERSION")
}

pub fn meta(data: &Path) -> PathBuf {
    data.join("meta.db")
}

pub fn log(data: &Path) -> PathBuf {
    data.join("log")
}

/// The name that the log shares with meta.
pub fn identity(data: &Path) -> PathBuf {
    log(data).join("IDENTITY")
}

pub fn lake(data: &Path) -> PathBuf {
    data.join("lake")
}

/// From where reference tables are read unless the owner says otherwise.
pub fn import(data: &Path) -> PathBuf {
    data.join("import")
}

pub fn sessions(data: &Path) -> PathBuf {
    data.join("sessions.snap")
}

pub fn tls(data: &Path) -> PathBuf {
    data.join("tls")
}
