//! The settings in effect: every value decided, nothing optional that has a default.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Anonymous, File, HubFlags, Listen, Route, TableAddress};
use crate::failure::Failure;
use crate::logging::LogFormat;

/// What happens to devices and streams that are seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// They are charted, and wait for a person.
    Approve,
    /// They are taken in.
    Auto,
    /// They are refused.
    Refuse,
}

/// What the hub calls its own listeners towards the gateway.
pub const LISTENER_NAMES: [&str; 3] = ["mqtt", "mqtts", "websocket"];

/// How long a certificate of a device is good for, in days; a device renews it at two thirds of that.
const DEVICE_DAYS: u32 = 90;
/// Longer than an authority lives, no certificate is good.
const DEVICE_DAYS_MAX: u32 = 3_650;

/// Names of the hub in certificates and in the address bar.
pub type HostNames = Vec<String>;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub data: PathBuf,
    pub policy: Policy,
    pub plain_ok: bool,
    pub threads: usize,
    pub log: Log,
    pub mqtt: Mqtt,
    pub http: Http,
    pub tls: Tls,
    pub storage: Storage,
    pub tables: Tables,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mqtt {
    pub listen: Listen,
    pub tls: Listen,
    pub packet_bytes_max: u32,
    pub connections_max: usize,
    pub queued_bytes_max: usize,
    pub receive_max: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive_max_s: Option<u16>,
    pub session_expiry_max_s: u32,
    pub refused_filters: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub anonymous: Vec<Anonymous>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Http {
    pub listen: Listen,
    pub tls: Listen,
    pub host_names: HostNames,
    pub behind_tls: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tls {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    pub names: HostNames,
    pub device_days: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Storage {
    pub log_retention_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_retention_hours: Option<u64>,
    pub log_segment_bytes: u64,
    pub log_tail_bytes: usize,
    pub query_memory_bytes: usize,
    pub pipeline_memory_bytes: usize,
    pub pipelines_memory_bytes: usize,
}

/// Reference tables: from where they are read, and what each may take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tables {
    /// None means the folder `import` of the data directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<PathBuf>,
    /// Who issued the certificates of `addresses`; none means whom the machine trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    pub rows_max: usize,
    pub bytes_max: usize,
    pub versions_bytes_max: u64,
    /// None means that no connection is made to another machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<TableAddress>,
}

impl Settings {
    /// Flags (with the environment behind them) over file over defaults.
    pub fn resolve(flags: &HubFlags, file: File, data_default: &Path) -> Result<Settings, Failure> {
        let flags = flags.clone();
        let mqtt = file.mqtt;
        let listen = |flag: Option<Listen>, file: Option<Listen>, default: &str| match flag.or(file) {
            Some(listen) => Ok(listen),
            None => default.parse().map_err(Failure::Usage),
        };
        let mqtt_plain = listen(flags.mqtt, mqtt.listen, "127.0.0.1:1883")?;
        let mqtt_tls = listen(flags.mqtts, mqtt.tls, "off")?;
        let http_plain = listen(flags.http, file.http.listen, "127.0.0.1:8080")?;
        let http_tls = listen(flags.https, file.http.tls, "off")?;
        let exposed = [mqtt_plain, mqtt_tls, http_plain, http_tls].into_iter().any(Listen::is_exposed);
        let policy = if exposed { Policy::Approve } else { Policy::Auto };
        Ok(Settings {
            data: flags.data.or(file.data).unwrap_or_else(|| data_default.to_owned()),
            policy: flags.policy.or(file.policy).unwrap_or(policy),
            plain_ok: flags.plain_ok.or(file.plain_ok).unwrap_or(false),
            threads: file.threads.unwrap_or_else(threads_default),
            log: Log {
                level: flags.log.or(file.log.level).unwrap_or_else(|| String::from("info")),
                format: flags.log_format.or(file.log.format).unwrap_or_default(),
            },
            mqtt: Mqtt {
                listen: mqtt_plain,
                tls: mqtt_tls,
                packet_bytes_max: mqtt.packet_bytes_max.unwrap_or(1 << 20),
                connections_max: mqtt.connections_max.unwrap_or(50_000),
                queued_bytes_max: mqtt.queued_bytes_max.unwrap_or(4 << 20),
                receive_max: mqtt.receive_max.unwrap_or(1_024),
                keep_alive_max_s: mqtt.keep_alive_max_s,
                session_expiry_max_s: mqtt.session_expiry_max_s.unwrap_or(7 * 24 * 3_600),
                refused_filters: mqtt.refused_filters,
                anonymous: mqtt.anonymous,
            },
            http: Http {
                listen: http_plain,
                tls: http_tls,
                host_names: file.http.host_names,
                behind_tls: file.http.behind_tls.unwrap_or(false),
            },
            tls: Tls {
                certificate: file.tls.certificate,
                key: file.tls.key,
                names: file.tls.names,
                device_days: file.tls.device_days.unwrap_or(DEVICE_DAYS).clamp(1, DEVICE_DAYS_MAX),
            },
            storage: Storage {
                log_retention_bytes: file.storage.log_retention_bytes.unwrap_or(4 << 30),
                log_retention_hours: file.storage.log_retention_hours,
                log_segment_bytes: file.storage.log_segment_bytes.unwrap_or(64 << 20),
                log_tail_bytes: file.storage.log_tail_bytes.unwrap_or(32 << 20),
                query_memory_bytes: file.storage.query_memory_bytes.unwrap_or(256 << 20),
                pipeline_memory_bytes: file.storage.pipeline_memory_bytes.unwrap_or(256 << 20),
                pipelines_memory_bytes: file.storage.pipelines_memory_bytes.unwrap_or(1 << 30),
            },
            tables: Tables {
                directories: file.tables.directories,
                addresses: file.tables.addresses,
                ca_file: file.tables.ca_file,
                rows_max: file.tables.rows_max.unwrap_or(1_000_000),
                bytes_max: file.tables.bytes_max.unwrap_or(64 << 20),
                versions_bytes_max: file.tables.versions_bytes_max.unwrap_or(1 << 30),
            },
            route: file.route,
        })
    }

    /// Refuses what cannot work or what nobody can have meant.
    pub fn check(&self) -> Result<(), Failure> {
        self.check_exposure()?;
        self.check_listeners()?;
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return wrong("`tls.certificate` and `tls.key` belong together, one of them is missing");
        }
        if !(1..=256).contains(&self.threads) {
            return wrong(format!("`threads` is {}, expected 1 to 256", self.threads));
        }
        let storage = &self.storage;
        if storage.log_segment_bytes < 1 << 16 {
            return wrong(format!(
                "`storage.log_segment_bytes` is {}, expected at least 65536",
                storage.log_segment_bytes
            ));
        }
        if storage.log_retention_bytes < 2 * storage.log_segment_bytes {
            return wrong(
                "`storage.log_retention_bytes` is less than two segments; hint: retention works by segment",
            );
        }
        if self.tables.versions_bytes_max < 2 * self.tables.bytes_max as u64 {
            return wrong("`tables.versions_bytes_max` is less than two versions of `tables.bytes_max`");
        }
        // Rows are numbered with 32 bits.
        if self.tables.rows_max > u32::MAX as usize {
            return wrong(format!(
                "`tables.rows_max` is {}, expected at most {}",
                self.tables.rows_max,
                u32::MAX
            ));
        }
        Ok(())
    }

    /// The plain listeners that other machines can reach.
    pub fn exposed_plain(&self) -> Vec<(&'static str, Listen)> {
        let anonymous = self.mqtt.anonymous.iter().map(|listener| ("mqtt.anonymous", listener.listener));
        [("--mqtt", self.mqtt.listen), ("--http", self.http.listen)]
            .into_iter()
            .chain(anonymous)
            .filter(|(_, listen)| listen.is_exposed())
            .collect()
    }

    fn check_exposure(&self) -> Result<(), Failure> {
        match self.exposed_plain().first() {
            Some((what, listen)) if !self.plain_ok => wrong(format!(
                "{what} {listen} would let tokens travel unencrypted\nhint: use --mqtts or --https for other machines; \
                 --plain-ok if the network in between is yours alone"
            )),
            _ => Ok(()),
        }
    }

    fn check_listeners(&self) -> Result<(), Failure> {
        let mut listeners = vec![
            ("mqtt.listen".to_owned(), self.mqtt.listen),
            ("mqtt.tls".to_owned(), self.mqtt.tls),
            ("http.listen".to_owned(), self.http.listen),
            ("http.tls".to_owned(), self.http.tls),
        ];
        for (index, anonymous) in self.mqtt.anonymous.iter().enumerate() {
            // The name decides what a client may do: it must not be that of a listener with other rules.
            let is_taken = LISTENER_NAMES.contains(&anonymous.name.as_str())
                || self.mqtt.anonymous[..index].iter().any(|other| other.name == anonymous.name);
            if is_taken {
                return wrong(format!(
                    "the anonymous listener `{}` has the name of another listener\nhint: give each a `name` of its own",
                    anonymous.name
                ));
            }
            if anonymous.topics.is_empty() {
                return wrong(format!("the anonymous listener `{}` allows no topic", anonymous.name));
            }
            for topic in &anonymous.topics {
                topic.parse::<springhouse_policy::TopicFilter>().map_err(|error| {
                    Failure::Usage(format!(
                        "the anonymous listener `{}` has a wrong topic: {error}",
                        anonymous.name
                    ))
                })?;
            }
            listeners.push((format!("mqtt.anonymous `{}`", anonymous.name), anonymous.listener));
        }
        let mut seen: Vec<(String, Listen)> = Vec::new();
        for (name, listen) in listeners {
            // Port 0 asks the system for a free one.
            let Some(address) = listen.address().filter(|address| address.port() != 0) else { continue };
            if let Some((other, _)) = seen.iter().find(|(_, taken)| taken.address() == Some(address)) {
                return wrong(format!("`{other}` and `{name}` both want {address}"));
            }
            seen.push((name, listen));
        }
        Ok(())
    }
}

fn wrong<T>(problem: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(problem.into()))
}

/// One worker per core, at most four: a hub of thousands of devices needs fewer than two cores.
fn threads_default() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(1, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(toml: &str, flags: HubFlags) -> Result<Settings, Failure> {
        let file = File::parse(toml, Path::new("t.toml"))?;
        let settings = Settings::resolve(&flags, file, Path::new("d"))?;
        settings.check()?;
        Ok(settings)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let flags = HubFlags { http: Some("127.0.0.1:9000".parse().unwrap()), ..HubFlags::default() };
        let settings =
            resolved("[http]\nlisten = '127.0.0.1:9001'\n[mqtt]\nlisten = ':2883'", flags).unwrap();
        assert_eq!(settings.http.listen.to_string(), "127.0.0.1:9000");
        assert_eq!(settings.mqtt.listen.to_string(), "127.0.0.1:2883");
        assert_eq!(settings.mqtt.tls, Listen::Off);
        assert_eq!(settings.data, Path::new("d"));
    }

    #[test]
    fn plain_listeners_for_other_machines_have_to_be_asked_for() {
        let toml = "[http]\nlisten = '0.0.0.0:8080'";
        let message = resolved(toml, HubFlags::default()).unwrap_err().to_string();
        assert!(message.contains("--plain-ok"), "{message}");
        let allowed = HubFlags { plain_ok: Some(true), ..HubFlags::default() };
        assert_eq!(resolved(toml, allowed).unwrap().policy, Policy::Approve);
        assert_eq!(resolved("", HubFlags::default()).unwrap().policy, Policy::Auto);
    }

    #[test]
    fn two_listeners_on_one_address_are_an_error() {
        let message = resolved("[http]\nlisten = ':1883'", HubFlags::default()).unwrap_err().to_string();
        assert!(message.contains("`mqtt.listen` and `http.listen` both want"), "{message}");
    }

    #[test]
    fn an_anonymous_listener_does_not_take_the_name_of_another() {
        let listener = |name: &str, port: u16| {
            format!("[[mqtt.anonymous]]\n{name}listener = ':{port}'\ntopics = ['x']\n")
        };
        for toml in [listener("name = 'mqtt'\n", 1884), listener("", 1884) + &listener("", 1885)] {
            let message = resolved(&toml, HubFlags::default()).unwrap_err().to_string();
            assert!(message.contains("name of another listener"), "{message}");
        }
        resolved(&(listener("", 1884) + &listener("name = 'b'\n", 1885)), HubFlags::default()).unwrap();
    }

    #[test]
    fn what_config_prints_is_a_file_that_means_the_same() {
        let toml = "[[route]]\ntopic = 'z/{device}'\nstream = 'z'\n[[mqtt.anonymous]]\nname = 'p'\nlistener = ':1884'\ntopics = ['#']\n\
             [tables]\nca_file = '/ca.pem'\n[[tables.addresses]]\nurl = 'https://erp.example/'\ntoken_file = '/erp.token'";
        let settings = resolved(toml, HubFlags::default()).unwrap();
        let printed = toml::to_string(&settings).unwrap();
        assert_eq!(resolved(&printed, HubFlags::default()).unwrap(), settings);
    }
}
