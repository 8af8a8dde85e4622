//! Topic filters as a client may subscribe to them.

use springhouse_policy::{TopicFilter, shared_filter};

use crate::reason::{self, Fault};

/// A filter taken apart: the group of a shared subscription, and the filter that messages are matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    pub group: Option<&'a str>,
    pub filter: &'a str,
}

/// Checks a filter (MQTT 5 §4.7, §4.8.2).
pub fn parse_filter(text: &str) -> Result<Filter<'_>, Fault> {
    let filter = shared_filter(text);
    if filter.parse::<TopicFilter>().is_err() {
        return Err(Fault::of(reason::FILTER_INVALID, "topic filter is not valid"));
    }
    let group = text.strip_prefix("$share/").and_then(|rest| rest.split('/').next());
    Ok(Filter { group, filter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_filters_are_taken_apart() {
        for (text, expected) in [
            ("a/+/#", Some((None, "a/+/#"))),
            ("$share/g/a/#", Some((Some("g"), "a/#"))),
            ("$share/g//a", Some((Some("g"), "/a"))),
            ("$share/g", None),
            ("$share/g/", None),
            ("$share//a", None),
            ("$share/+/a", None),
            ("a/#/b", None),
            ("a+", None),
            ("", None),
        ] {
            let parsed = parse_filter(text).ok().map(|parsed| (parsed.group, parsed.filter));
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
