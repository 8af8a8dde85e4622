//! Names of tenants, sites, devices and streams, checked once where they enter.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name of a tenant, site or device, in bytes: fits a topic level, a file name and a certificate field.
pub const NAME_BYTES_MAX: usize = 128;
/// Number of virtual partitions; fixed, because it decides where the state of a device lives (log, Kafka, snapshots).
pub const PARTITIONS: u8 = 64;

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{kind} name is empty")]
    Empty { kind: &'static str },
    #[error("{kind} name has {bytes} bytes, at most {NAME_BYTES_MAX} are allowed")]
    TooLong { kind: &'static str, bytes: usize },
    #[error("{kind} name contains `{character}`; {allowed}")]
    Character { kind: &'static str, character: char, allowed: &'static str },
    #[error("`{name}` is a table of the hub; choose another name for the {kind}")]
    Reserved { kind: &'static str, name: String },
}

/// Tables that every query finds beside the streams.
const TABLES: [&str; 3] = ["devices", "twin", "information_schema"];

const WORD_HINT: &str = "letters, digits, `-`, `_`, `.`, `:`, `@` and spaces inside are allowed";
const STREAM_HINT: &str =
    "a stream is named like a table: lower-case letters, digits and `_`, parts joined by `.`";

fn check_word(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_length(kind, text)?;
    let refused = |c: &char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@' | ' '));
    match text.chars().find(refused) {
        Some(character) => Err(NameError::Character { kind, character, allowed: WORD_HINT }),
        None if text.trim() != text || text.starts_with('.') => Err(NameError::Character {
            kind,
            character: text.chars().next().unwrap_or(' '),
            allowed: WORD_HINT,
        }),
        None => Ok(()),
    }
}

fn check_stream(kind: &'static str, text: &str) -> Result<(), NameError> {
    check_length(kind, text)?;
    let refused = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.'));
    if let Some(character) = text.chars().find(refused) {
        return Err(NameError::Character { kind, character, allowed: STREAM_HINT });
    }
    if TABLES.contains(&text) {
        return Err(NameError::Reserved { kind, name: text.to_owned() });
    }
    let part_is_bad = |part: &str| part.is_empty() || part.starts_with(|c: char| c.is_ascii_digit());
    match text.split('.').find(|part| part_is_bad(part)) {
        Some(part) => Err(NameError::Character {
            kind,
            character: part.chars().next().unwrap_or('.'),
            allowed: STREAM_HINT,
        }),
        None => Ok(()),
    }
}

fn check_length(kind: &'static str, text: &str) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty { kind }),
        bytes if bytes > NAME_BYTES_MAX => Err(NameError::TooLong { kind, bytes }),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check($kind, text)?;
                Ok(Self(Arc::from(text)))
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

name!(
    /// An organisation; nothing crosses from one tenant to another.
    TenantId, "tenant", check_word
);
name!(
    /// A home, plant or ward of a tenant.
    SiteId, "site", check_word
);
name!(
    /// A device of a tenant, unique within it.
    DeviceId, "device", check_word
);
name!(
    /// A stream of a tenant; also the name of its SQL table. Side streams append a part: `hourly.late`.
    StreamName, "stream", check_stream
);

impl TenantId {
    /// The tenant of a hub that serves a single organisation.
    pub fn main() -> TenantId {
        TenantId(Arc::from("main"))
    }
}

/// A stream together with the tenant that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamKey {
    pub tenant: TenantId,
    pub name: StreamName,
}

impl StreamKey {
    pub fn new(tenant: TenantId, name: StreamName) -> StreamKey {
        StreamKey { tenant, name }
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// One of the [`PARTITIONS`] virtual partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partition(pub u8);

impl Partition {
    /// The partition in which all readings of a device live: FNV-1a of its name, folded, modulo [`PARTITIONS`].
    /// Part of the storage format: changing it would separate devices from their state.
    pub fn of(device: &str) -> Partition {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in device.bytes() {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        }
        Partition(((hash ^ (hash >> 32)) % u64::from(PARTITIONS)) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_words_without_topic_or_path_characters() {
        for good in ["thermostat-1", "0x00158d0001a2b3c4", "Wohnzimmer Lampe", "a:b@c"] {
            assert!(good.parse::<DeviceId>().is_ok(), "{good}");
        }
        for bad in ["", "a/b", "+", "#", "..", " a", "a\0b", &"x".repeat(129)] {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn stream_names_are_table_names() {
        for good in ["meter", "home_energy", "hourly.late", "s1"] {
            assert!(good.parse::<StreamName>().is_ok(), "{good}");
        }
        for bad in ["", "Meter", "1st", "a-b", "a..b", ".a", "a.", "_q/x", "devices", "twin"] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn partitions_are_stable_and_spread() {
        // FNV-1a 64 of "a" is af63dc4c8601ec8c (published test vector); folded and reduced by hand.
        let expected = ((0xaf63_dc4c_8601_ec8c_u64 ^ (0xaf63_dc4c_8601_ec8c_u64 >> 32)) % 64) as u8;
        assert_eq!(Partition::of("a"), Partition(expected));
        let used: std::collections::HashSet<_> =
            (0..1000).map(|n| Partition::of(&format!("dev-{n:05}"))).collect();
        assert_eq!(used.len(), usize::from(PARTITIONS));
    }
}
