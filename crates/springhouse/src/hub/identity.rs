//! That the parts of a data directory belong together.
//!
//! `meta.db` says what the numbers in the log mean and which objects of the lake are alive. With another one, or with an
//! empty one where the file was lost, readings would appear under wrong names and the lake would be taken for leftovers.
//! So both carry one name, drawn when the directory is made.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use springhouse_log::{Log, Offset};
use springhouse_meta::Meta;

use super::paths;
use crate::failure::Failure;

/// In meta.
const KEY: &str = "data_directory";

/// Refuses parts that do not belong together, before anything is built on them.
pub async fn check(data: &Path, meta: &dyn Meta, log: &dyn Log) -> anyhow::Result<()> {
    let in_meta = meta.setting(KEY).await?;
    let path = paths::identity(data);
    let in_log = read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let is_new = in_meta.is_none() && meta.streams(None).await?.is_empty();
    let has_data = in_log.is_some() || log.end() > Offset(0) || has_files(&paths::lake(data))?;
    if is_new && has_data {
        return Err(refusal(data, "`meta.db` is missing or empty, while `log` and `lake` hold readings"));
    }
    match (in_meta, in_log) {
        (Some(meta), Some(log)) if meta != log => {
            Err(refusal(data, "`meta.db` and `log` come from two different data directories"))
        }
        (Some(_), Some(_)) => Ok(()),
        (in_meta, in_log) => {
            let name = match in_meta.or(in_log) {
                Some(name) => name,
                None => format!("{:032x}", u128::from_ne_bytes(random().context("cannot draw a name")?)),
            };
            meta.put_setting(KEY, &name).await?;
            write(&path, &name).with_context(|| format!("cannot write `{}`", path.display()))
        }
    }
}

fn refusal(data: &Path, why: &str) -> anyhow::Error {
    let text = format!(
        "the parts of `{}` do not belong together: {why}\nhint: restore the whole directory from one backup, or move it \
         away to begin anew; its readings were not touched",
        data.display()
    );
    Failure::DataDirectory(text).into()
}

fn random() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, name: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    writeln!(file, "{name}")?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

fn has_files(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || has_files(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}
