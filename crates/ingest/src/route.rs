//! From topics to streams.
//!
//! A route is a topic pattern whose levels are literal text, `{device}`, `{stream}` or `+` for any. What the pattern does
//! not name is given: a fixed stream, a fixed device, or the device that the sender is.

use springhouse_model::{DeviceId, NameError, StreamName};

const DEVICE: &str = "{device}";
const STREAM: &str = "{stream}";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    levels: Vec<Level>,
    stream: Option<StreamName>,
    device: Option<DeviceId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(Box<str>),
    Device,
    Stream,
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("route `{topic}` names no stream; hint: put {STREAM} into the topic or set `stream`")]
    NoStream { topic: String },
    #[error("route `{topic}` names its {what} twice")]
    Twice { topic: String, what: &'static str },
    #[error("route `{topic}` has the level `{level}`; hint: a level is text, {DEVICE}, {STREAM} or +")]
    Level { topic: String, level: String },
}

/// What a topic says; parts that it does not name are `None`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matched<'a> {
    pub device: Option<&'a str>,
    pub stream: &'a str,
    pub fixed_device: Option<&'a DeviceId>,
}

impl Route {
    /// Reads a pattern. `stream` is given when the topic does not name it, `device` when neither the topic names it
    /// nor the sender is it.
    pub fn new(
        topic: &str,
        stream: Option<StreamName>,
        device: Option<DeviceId>,
    ) -> Result<Route, RouteError> {
        let levels = topic.split('/').map(|level| read_level(topic, level)).collect::<Result<Vec<_>, _>>()?;
        let twice = |what| RouteError::Twice { topic: topic.to_owned(), what };
        let count = |kind| levels.iter().filter(|level| **level == kind).count();
        match (count(Level::Stream), &stream) {
            (0, None) => return Err(RouteError::NoStream { topic: topic.to_owned() }),
            (1, None) | (0, Some(_)) => {}
            _ => return Err(twice("stream")),
        }
        match (count(Level::Device), &device) {
            (0, _) | (1, None) => {}
            _ => return Err(twice("device")),
        }
        Ok(Route { levels, stream, device })
    }

    /// `devices/{device}/{stream}`.
    pub fn standard() -> Route {
        let levels = vec![Level::Literal("devices".into()), Level::Device, Level::Stream];
        Route { levels, stream: None, device: None }
    }

    pub(crate) fn matches<'a>(&'a self, topic: &'a str) -> Option<Matched<'a>> {
        let mut device = None;
        let mut stream = self.stream.as_ref().map(StreamName::as_str);
        let mut levels = topic.split('/');
        for pattern in &self.levels {
            let level = levels.next()?;
            match pattern {
                Level::Literal(text) if text.as_ref() != level => return None,
                Level::Literal(_) | Level::Any => {}
                Level::Device => device = Some(level),
                Level::Stream => stream = Some(level),
            }
        }
        match levels.next() {
            Some(_) => None,
            None => Some(Matched { device, stream: stream?, fixed_device: self.device.as_ref() }),
        }
    }
}

fn read_level(topic: &str, level: &str) -> Result<Level, RouteError> {
    match level {
        DEVICE => Ok(Level::Device),
        STREAM => Ok(Level::Stream),
        "+" => Ok(Level::Any),
        text if text.contains(['+', '#', '{', '}']) => {
            Err(RouteError::Level { topic: topic.to_owned(), level: text.to_owned() })
        }
        text => Ok(Level::Literal(text.into())),
    }
}

/// The stream that a topic level stands for. Devices write `Meter` and `door-1`; tables are lower case with `_`, so
/// those two differences are bridged and nothing else. Names with a dot belong to side streams of pipelines, names
/// that begin with `_` to the platform.
pub(crate) fn stream_name(level: &str) -> Result<StreamName, NameError> {
    let name = level.to_ascii_lowercase().replace('-', "_");
    match name.find('.').or_else(|| name.starts_with('_').then_some(0)) {
        Some(at) => Err(NameError::Character {
            kind: "stream",
            character: name[at..].chars().next().unwrap_or('.'),
            allowed: "a device's stream is named by letters, digits, `-` and `_`, beginning with a letter",
        }),
        None => name.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_route_names_device_and_stream() {
        let route = Route::standard();
        let matched = route.matches("devices/lamp/state").unwrap();
        assert_eq!((matched.device, matched.stream), (Some("lamp"), "state"));
        for topic in ["devices/lamp", "devices/lamp/state/x", "device/lamp/state", ""] {
            assert_eq!(route.matches(topic), None, "{topic}");
        }
    }

    #[test]
    fn routes_are_read_from_patterns() {
        let route = Route::new("zigbee2mqtt/{device}", Some("zigbee".parse().unwrap()), None).unwrap();
        let matched = route.matches("zigbee2mqtt/0x1").unwrap();
        assert_eq!((matched.device, matched.stream), (Some("0x1"), "zigbee"));
        assert_eq!(route.matches("zigbee2mqtt/bridge/state"), None);
        assert!(Route::new("a/{stream}/+/{device}", None, None).is_ok());
        for (topic, stream) in [("a/{device}", None), ("a/{stream}", Some("s")), ("{stream}/{stream}", None)]
        {
            assert!(Route::new(topic, stream.map(|name| name.parse().unwrap()), None).is_err(), "{topic}");
        }
        for topic in ["a/#/{stream}", "a{device}/{stream}", "{site}/{stream}"] {
            assert!(matches!(Route::new(topic, None, None), Err(RouteError::Level { .. })), "{topic}");
        }
    }

    #[test]
    fn stream_levels_become_table_names() {
        for (level, expected) in [("meter", "meter"), ("Meter", "meter"), ("door-1", "door_1")] {
            assert_eq!(stream_name(level).unwrap().as_str(), expected);
        }
        for bad in ["", "1st", "a.late", "_quarantine", "-x", "a b", "größe"] {
            assert!(stream_name(bad).is_err(), "{bad:?}");
        }
    }
}
