//! MQTT topic names and filters (MQTT 5 §4.7), and the question whether one filter lies inside another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest topic that MQTT can carry: its length is a 16-bit number (MQTT 5 §1.5.4).
const TOPIC_BYTES_MAX: usize = 65_535;

/// Why a topic or a filter was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    #[error("topic is empty")]
    Empty,
    #[error("topic has {bytes} bytes, at most {TOPIC_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    #[error("topic contains a NUL character")]
    Nul,
    #[error("wildcard in `{topic}` where a plain topic is expected")]
    WildcardInName { topic: String },
    #[error("misplaced wildcard in `{filter}`; hint: `+` fills a whole level, `#` only the last")]
    MisplacedWildcard { filter: String },
}

/// A subscription pattern: levels joined by `/`, `+` for any one level, `#` for all that follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicFilter(String);

impl TopicFilter {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a published `topic` reaches this filter. Wildcards in the first level do not match topics that begin
    /// with `$` (MQTT 5 §4.7.2).
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for pattern in self.0.split('/') {
            match (pattern, levels.next()) {
                // `a/#` also matches `a`: the loop over `a` has ended the topic's levels.
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (pattern, Some(level)) if pattern == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Whether every topic that `narrower` can match is also matched by `self`.
    pub fn covers(&self, narrower: &TopicFilter) -> bool {
        if narrower.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = narrower.0.split('/');
        for pattern in self.0.split('/') {
            match (pattern, levels.next()) {
                ("#", _) => return true,
                ("+", Some(level)) if level != "#" => {}
                (pattern, Some(level)) if pattern == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

impl FromStr for TopicFilter {
    type Err = TopicError;
    fn from_str(filter: &str) -> Result<TopicFilter, TopicError> {
        check_bytes(filter)?;
        let last = filter.split('/').count() - 1;
        let misplaced = |(index, level): (usize, &str)| match level {
            "+" => false,
            "#" => index != last,
            _ => level.contains(['+', '#']),
        };
        if filter.split('/').enumerate().any(misplaced) {
            return Err(TopicError::MisplacedWildcard { filter: filter.to_owned() });
        }
        Ok(TopicFilter(filter.to_owned()))
    }
}

impl TryFrom<String> for TopicFilter {
    type Error = TopicError;
    fn try_from(filter: String) -> Result<TopicFilter, TopicError> {
        filter.parse()
    }
}

impl From<TopicFilter> for String {
    fn from(filter: TopicFilter) -> String {
        filter.0
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the name of a topic that is published to: not empty, no wildcard, no NUL.
pub fn check_topic(topic: &str) -> Result<(), TopicError> {
    check_bytes(topic)?;
    match topic.contains(['+', '#']) {
        true => Err(TopicError::WildcardInName { topic: topic.to_owned() }),
        false => Ok(()),
    }
}

/// The filter inside `$share/{group}/{filter}` (MQTT 5 §4.8.2), or the text itself when it is not shared.
/// A shared subscription without group or filter yields the empty text, which no filter accepts.
pub fn shared_filter(filter: &str) -> &str {
    match filter.strip_prefix("$share/") {
        None => filter,
        Some(rest) => match rest.split_once('/') {
            Some((group, inner)) if !group.is_empty() && !group.contains(['+', '#']) => inner,
            _ => "",
        },
    }
}

fn check_bytes(text: &str) -> Result<(), TopicError> {
    match text.len() {
        0 => Err(TopicError::Empty),
        bytes if bytes > TOPIC_BYTES_MAX => Err(TopicError::TooLong { bytes }),
        _ if text.contains('\0') => Err(TopicError::Nul),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        text.parse().unwrap()
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        for (pattern, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
        ] {
            assert_eq!(filter(pattern).matches(topic), expected, "{pattern} on {topic}");
        }
    }

    #[test]
    fn a_filter_covers_what_lies_inside_it() {
        for (wide, narrow, expected) in [
            ("devices/a/#", "devices/a/#", true),
            ("devices/a/#", "devices/a/+", true),
            ("devices/a/#", "devices/a", true),
            ("devices/a/#", "devices/a/x/y", true),
            ("devices/a/#", "devices/+/x", false),
            ("devices/a/#", "devices/#", false),
            ("devices/a/#", "#", false),
            ("devices/a/#", "devices/ab/#", false),
            ("devices/a/+", "devices/a/#", false),
            ("devices/a/+", "devices/a/+", true),
            ("#", "$SYS/#", false),
            ("+/#", "$SYS/x", false),
            ("+", "#", false),
        ] {
            assert_eq!(filter(wide).covers(&filter(narrow)), expected, "{wide} over {narrow}");
        }
    }

    #[test]
    fn wildcards_stand_alone_and_hash_stands_last() {
        for bad in ["", "a+", "a/#/b", "#a", "a/b#", "a\0b", "++"] {
            assert!(bad.parse::<TopicFilter>().is_err(), "{bad:?}");
        }
        for good in ["#", "+", "/", "+/+/#", "a//b", "$share"] {
            assert!(good.parse::<TopicFilter>().is_ok(), "{good:?}");
        }
        for bad in ["", "a/+", "#", "a\0"] {
            assert!(check_topic(bad).is_err(), "{bad:?}");
        }
        assert!(check_topic(&"a".repeat(65_536)).is_err());
        assert!(check_topic("devices/a/b").is_ok());
    }

    #[test]
    fn a_shared_subscription_is_judged_by_its_inner_filter() {
        assert_eq!(shared_filter("$share/group/a/#"), "a/#");
        assert_eq!(shared_filter("a/#"), "a/#");
        for bad in ["$share/", "$share//a", "$share/g", "$share/+/a"] {
            assert_eq!(shared_filter(bad), "", "{bad}");
        }
    }
}
