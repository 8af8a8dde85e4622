//! The configuration file as it is written. Unknown keys are errors: a typing error must not switch something off.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Listen, Policy};
use crate::failure::Failure;
use crate::logging::LogFormat;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub data: Option<PathBuf>,
    pub policy: Option<Policy>,
    pub plain_ok: Option<bool>,
    pub threads: Option<usize>,
    #[serde(default)]
    pub log: LogSection,
    #[serde(default)]
    pub mqtt: MqttSection,
    #[serde(default)]
    pub http: HttpSection,
    #[serde(default)]
    pub tls: TlsSection,
    #[serde(default)]
    pub storage: StorageSection,
    #[serde(default)]
    pub tables: TablesSection,
    #[serde(default)]
    pub route: Vec<Route>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    pub level: Option<String>,
    pub format: Option<LogFormat>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSection {
    pub listen: Option<Listen>,
    pub tls: Option<Listen>,
    pub packet_bytes_max: Option<u32>,
    pub connections_max: Option<usize>,
    pub queued_bytes_max: Option<usize>,
    pub receive_max: Option<u16>,
    pub keep_alive_max_s: Option<u16>,
    pub session_expiry_max_s: Option<u32>,
    #[serde(default)]
    pub refused_filters: Vec<String>,
    #[serde(default)]
    pub anonymous: Vec<Anonymous>,
}

/// A listener for clients without credentials, and what they may do there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anonymous {
    /// Stands in the log and on the page for whoever comes this way.
    #[serde(default = "anonymous_name")]
    pub name: String,
    pub listener: Listen,
    /// Topic filters that may be published and subscribed to.
    pub topics: Vec<String>,
}

fn anonymous_name() -> String {
    String::from("anonymous")
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    pub listen: Option<Listen>,
    pub tls: Option<Listen>,
    /// Names under which people open the page, beside localhost and addresses.
    #[serde(default)]
    pub host_names: Vec<String>,
    /// A proxy in front speaks TLS: cookies are marked Secure.
    pub behind_tls: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Names in the certificate that the hub makes for itself.
    #[serde(default)]
    pub names: Vec<String>,
    /// How long a certificate of a device is good for.
    pub device_days: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSection {
    pub log_retention_bytes: Option<u64>,
    pub log_retention_hours: Option<u64>,
    pub log_segment_bytes: Option<u64>,
    pub log_tail_bytes: Option<usize>,
    pub query_memory_bytes: Option<usize>,
    pub pipeline_memory_bytes: Option<usize>,
    pub pipelines_memory_bytes: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablesSection {
    /// From where reference tables may be read.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    #[serde(default)]
    pub addresses: Vec<TableAddress>,
    pub ca_file: Option<PathBuf>,
    pub rows_max: Option<usize>,
    pub bytes_max: Option<usize>,
    pub versions_bytes_max: Option<u64>,
}

/// An address on another machine below which reference tables may be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableAddress {
    pub url: String,
    /// Holds what is sent as `Authorization: Bearer …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// Topics beside `devices/{device}/{stream}` that lead to a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub topic: String,
    pub stream: Option<String>,
}

impl File {
    /// Reads a file; errors name line, key and what was probably meant.
    pub fn parse(text: &str, path: &Path) -> Result<File, Failure> {
        toml::from_str(text).map_err(|error| {
            let mut message = format!("`{}` is not a valid configuration\n{error}", path.display());
            if let Some(meant) = probably_meant(error.message()) {
                message.push_str(&format!("hint: did you mean `{meant}`?"));
            }
            Failure::Usage(message.trim_end().to_owned())
        })
    }
}

/// From "unknown field `mqqt`, expected one of `data`, `mqtt`" the expected word nearest to the unknown one.
fn probably_meant(message: &str) -> Option<String> {
    let mut words = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    let (distance, best) = words.map(|word| (edits(unknown, word), word)).min()?;
    (distance <= unknown.len().div_ceil(2)).then(|| best.to_owned())
}

/// Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        File::parse(text, Path::new("x.toml")).unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_are_errors_with_the_line_and_a_hint() {
        let message = refused("data = '/d'\n[mqqt]\nlisten = 'off'\n");
        assert!(message.contains("line 2") && message.contains("did you mean `mqtt`?"), "{message}");
        let message = refused("[mqtt]\nlistn = 'off'\n");
        assert!(message.contains("did you mean `listen`?"), "{message}");
    }

    #[test]
    fn wrong_values_say_what_is_expected() {
        assert!(refused("[mqtt]\nlisten = 'here'\n").contains("hint: 127.0.0.1:1883"));
        assert!(refused("policy = 'maybe'").contains("approve"));
    }

    #[test]
    fn the_packaged_example_is_a_valid_file_as_it_is_and_with_every_line_switched_on() {
        let example = include_str!("../../../../packaging/springhouse.toml");
        File::parse(example, Path::new("springhouse.toml")).unwrap();
        let switched_on: String = example
            .lines()
            .map(|line| line.strip_prefix("#").filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        File::parse(&switched_on, Path::new("springhouse.toml")).unwrap();
    }
}
