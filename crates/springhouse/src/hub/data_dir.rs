//! The data directory of a hub: one hub at a time, never one of a newer version.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use super::paths;
use crate::failure::Failure;

/// Layout of the directory as a whole. It is raised when an older program must not open it any more; what changes
/// inside of a part (meta, log) has a version of its own there.
const LAYOUT: u32 = 1;

/// Held as long as the hub lives; the system gives it back even after kill -9.
#[derive(Debug)]
pub struct DataDirectory {
    lock: File,
}

impl DataDirectory {
    /// Makes the directory if it is not there, locks it, and checks its version.
    pub fn open(data: &Path) -> anyhow::Result<DataDirectory> {
        let doing = || format!("cannot open the data directory `{}`", data.display());
        // What is inside (tokens' hashes, readings) is for the hub's user alone.
        DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(doing)?;
        let lock = lock(data)?;
        check_version(data).with_context(doing)?;
        Ok(DataDirectory { lock })
    }

    /// Leaves word of where the page is, for programs beside the hub.
    pub fn tell_page(&mut self, page: &str) -> std::io::Result<()> {
        writeln!(self.lock, "{page}")
    }
}

/// Where the page of the hub is that works, or last worked, in this directory.
pub fn page(data: &Path) -> Option<String> {
    let told = fs::read_to_string(paths::lock(data)).ok()?;
    told.lines().nth(1).map(str::to_owned)
}

fn lock(data: &Path) -> anyhow::Result<File> {
    let path = paths::lock(data);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open `{}`", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        // Only to help; the lock itself is what counts.
        let _ = file.read_to_string(&mut holder);
        let holder = holder.lines().next().map(|process| format!(" (process {process})")).unwrap_or_default();
        return Err(Failure::DataDirectory(format!(
            "`{}` is in use by another hub{holder}\nhint: stop it, or give this one a directory of its own by --data",
            data.display()
        ))
        .into());
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()))?;
    Ok(file)
}

fn check_version(data: &Path) -> anyhow::Result<()> {
    let path = paths::version(data);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::write(&path, format!("{LAYOUT}\n"))?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found <= LAYOUT => Ok(()),
        Ok(found) => Err(Failure::DataDirectory(format!(
            "`{}` was written by a newer version of springhouse (layout {found}, this one knows {LAYOUT})\n\
             hint: start the newer version, or restore a backup",
            data.display()
        ))
        .into()),
        Err(_) => Err(Failure::DataDirectory(format!("`{}` does not hold a number", path.display())).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_hub_is_told_who_has_the_directory() {
        let data = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(data.path()).unwrap();
        let second = DataDirectory::open(data.path()).unwrap_err().to_string();
        assert!(
            second.contains(&format!("in use by another hub (process {})", std::process::id())),
            "{second}"
        );
        drop(first);
        DataDirectory::open(data.path()).unwrap();
    }

    #[test]
    fn a_directory_of_a_newer_version_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        fs::write(paths::version(data.path()), "7\n").unwrap();
        let error = DataDirectory::open(data.path()).unwrap_err();
        assert!(format!("{error:#}").contains("layout 7, this one knows 1"), "{error:#}");
        assert_eq!(fs::read_to_string(paths::version(data.path())).unwrap(), "7\n");
    }
}
