//! What a run writes is not what it reads, and not written twice.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{RunFailure, RunOptions, Source, Target};

/// Which file a path leads to, whatever it is called.
#[derive(PartialEq, Eq, Hash)]
enum Place {
    There { device: u64, inode: u64 },
    NotYet(PathBuf),
}

/// `None` for what can be written by many, such as a terminal or `/dev/null`.
fn place(path: &Path) -> Option<Place> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Some(Place::There { device: found.dev(), inode: found.ino() }),
        Ok(_) => None,
        Err(_) => Some(Place::NotYet(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))),
    }
}

/// Asked before anything is opened for writing, which empties it.
pub(super) fn check(options: &RunOptions) -> Result<(), RunFailure> {
    let sources = options.from.iter().filter_map(|(_, source)| match source {
        Source::File(path) => Some(path),
        Source::Stdin => None,
    });
    let read = sources.chain(&options.functions).chain(&options.sql_file);
    let read: HashSet<Place> = read.filter_map(|path| place(path)).collect();
    let targets = options.to.iter().filter_map(|(_, target)| match target {
        Target::File(path) => Some(path),
        Target::Stdout | Target::Nowhere => None,
    });
    let mut written = HashSet::new();
    for path in targets.chain(&options.quarantine) {
        let Some(place) = place(path) else { continue };
        let why = match (read.contains(&place), written.insert(place)) {
            (true, _) => "is read by this run, and writing would empty it",
            (false, false) => "is named twice as a file to write",
            (false, true) => continue,
        };
        let text = format!("`{}` {why}; hint: name another file", path.display());
        return Err(RunFailure::Options(text));
    }
    Ok(())
}
