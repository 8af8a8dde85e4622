//! Where something listens: an address, or nowhere.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `127.0.0.1:1883`, `[::]:8883`, `:1883` (this machine), or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    Off,
    On(SocketAddr),
}

impl Listen {
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::On(address) => Some(address),
        }
    }

    /// Whether somebody outside of this machine can reach it.
    pub fn is_exposed(self) -> bool {
        self.address().is_some_and(|address| !address.ip().is_loopback())
    }
}

impl FromStr for Listen {
    type Err = String;
    fn from_str(text: &str) -> Result<Listen, String> {
        if text == "off" {
            return Ok(Listen::Off);
        }
        let full = match text.strip_prefix("localhost").unwrap_or(text) {
            port if port.starts_with(':') => format!("127.0.0.1{port}"),
            address => address.to_owned(),
        };
        full.parse().map(Listen::On).map_err(|_| {
            format!("`{text}` is not an address to listen on; hint: 127.0.0.1:1883, [::1]:1883, 0.0.0.0:8883 or `off`")
        })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;
    fn try_from(text: String) -> Result<Listen, String> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> String {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::On(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_a_hint_when_they_are_wrong() {
        for (text, expected, exposed) in [
            ("off", "off", false),
            (":1883", "127.0.0.1:1883", false),
            ("localhost:80", "127.0.0.1:80", false),
            ("[::1]:1883", "[::1]:1883", false),
            ("0.0.0.0:8883", "0.0.0.0:8883", true),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!((listen.to_string().as_str(), listen.is_exposed()), (expected, exposed));
        }
        for text in ["", "1883", "example.org:1883", "127.0.0.1"] {
            assert!(text.parse::<Listen>().unwrap_err().contains("hint: 127.0.0.1:1883"));
        }
    }
}
