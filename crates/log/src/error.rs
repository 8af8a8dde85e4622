//! What can go wrong with a log. Cloneable, because one failed commit answers everyone who waited for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use springhouse_model::ErrorClass;

use crate::Offset;

#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// Retention has removed what was asked for; reading can go on at `head`.
    #[error("the log begins at {head}, earlier records were removed by retention")]
    Trimmed { head: Offset },
    /// A write or fsync failed, so that what is on the disk is unknown: nothing is acknowledged until a restart has
    /// read it back. Reads go on.
    #[error("the log stopped accepting records: {reason}; hint: check the disk, then restart")]
    Poisoned { reason: Arc<str> },
    /// No room; nothing of the append was kept. Appends succeed again once there is room.
    #[error("no space left for the log in `{}`; hint: free space or lower the log's retention", path.display())]
    Full { path: PathBuf },
    #[error("another process uses the log in `{}`; hint: one hub per data directory", path.display())]
    InUse { path: PathBuf },
    #[error("the log is closed")]
    Closed,
    #[error("append has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("append is invalid: {what}")]
    Invalid { what: &'static str },
    #[error(
        "log file `{}` has format version {found}, the highest known is {known}; hint: a newer Springhouse wrote it",
        path.display()
    )]
    NewerVersion { path: PathBuf, found: u32, known: u32 },
    /// Acknowledged records are damaged. Never skipped silently.
    #[error("log file `{}` is corrupt at byte {at}: {what}; hint: restore it from a backup", path.display())]
    Corrupt { path: PathBuf, at: u64, what: &'static str },
    #[error("cannot {doing} `{}`", path.display())]
    Io { doing: &'static str, path: PathBuf, source: Arc<io::Error> },
}

impl LogError {
    /// For `map_err`: says what was being done to which file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        let path = path.to_owned();
        move |source| LogError::Io { doing, path, source: Arc::new(source) }
    }

    pub fn class(&self) -> ErrorClass {
        match self {
            LogError::TooLarge { .. } | LogError::Invalid { .. } => ErrorClass::Internal,
            _ => ErrorClass::Environment,
        }
    }
}
