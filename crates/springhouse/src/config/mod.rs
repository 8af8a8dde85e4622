//! With what numbers a hub runs: flags over environment over file over defaults, checked before anything opens.

mod address;
mod file;
mod flags;
mod settings;

pub use address::Listen;
pub use file::{Anonymous, File, Route, TableAddress};
pub use flags::HubFlags;
pub use settings::{HostNames, LISTENER_NAMES, Policy, Settings, Tls};

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::failure::Failure;

/// The place of the file for all users of a machine.
const SYSTEM_FILE: &str = "/etc/springhouse/springhouse.toml";
const FILE_NAME: &str = "springhouse.toml";
/// Where a hub keeps its data when nothing is said.
pub const DATA_DEFAULT: &str = "springhouse-data";

/// The settings that the flags (with the environment behind them) result in.
pub fn settings(flags: &HubFlags) -> anyhow::Result<Settings> {
    settings_in(flags, Path::new(DATA_DEFAULT))
}

/// The same with another default for the data directory.
pub fn settings_in(flags: &HubFlags, data_default: &Path) -> anyhow::Result<Settings> {
    let (file, read_from) = read_file(flags, data_default)?;
    let settings = Settings::resolve(flags, file, data_default)?;
    settings.check().with_context(|| match &read_from {
        Some(path) => format!("the configuration does not work out (file `{}`)", path.display()),
        None => String::from("the configuration does not work out"),
    })?;
    Ok(settings)
}

/// Which data directory is meant, without checking the rest; for verbs beside a running hub.
pub fn data_directory(data: Option<&Path>) -> anyhow::Result<PathBuf> {
    let flags = HubFlags { data: data.map(Path::to_owned), ..HubFlags::default() };
    let (file, _) = read_file(&flags, Path::new(DATA_DEFAULT))?;
    Ok(flags.data.or(file.data).unwrap_or_else(|| PathBuf::from(DATA_DEFAULT)))
}

fn read_file(flags: &HubFlags, data_default: &Path) -> anyhow::Result<(File, Option<PathBuf>)> {
    if let Some(path) = &flags.config {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Usage(format!("cannot read the configuration `{}`: {error}", path.display()))
        })?;
        return Ok((File::parse(&text, path)?, Some(path.clone())));
    }
    let data = flags.data.as_deref().unwrap_or(data_default);
    for path in [data.join(FILE_NAME), PathBuf::from(SYSTEM_FILE)] {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok((File::parse(&text, &path)?, Some(path))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the configuration `{}`", path.display()));
            }
        }
    }
    Ok((File::default(), None))
}
