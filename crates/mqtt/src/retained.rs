//! The retained message of each topic of a tenant.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use springhouse_model::Timestamp;
use springhouse_policy::TopicFilter;

use crate::message::Message;

/// Retained messages by topic, bounded in number and bytes.
#[derive(Debug, Default)]
pub struct Retained {
    by_topic: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
}

impl Retained {
    /// Sets or, with an empty payload, removes. False when there is no room for one more.
    pub fn set(&mut self, message: &Arc<Message>, count_max: usize, bytes_max: usize) -> bool {
        self.bytes -= self.by_topic.remove(message.topic()).map_or(0, |old| old.weight());
        if message.payload().is_empty() {
            return true;
        }
        if self.by_topic.len() >= count_max || self.bytes + message.weight() > bytes_max {
            return false;
        }
        self.bytes += message.weight();
        self.by_topic.insert(message.topic().into(), Arc::clone(message));
        true
    }

    /// All messages whose topic `filter` matches. Only topics that begin as the filter does, up to its first wildcard,
    /// are looked at.
    pub fn matching(&self, filter: &TopicFilter, now: Timestamp) -> Vec<Arc<Message>> {
        let literal = filter.as_str().split(['+', '#']).next().unwrap_or_default();
        // `a/#` also matches `a`.
        let prefix = literal.strip_suffix('/').unwrap_or(literal);
        self.by_topic
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .filter(|(topic, message)| filter.matches(topic) && !message.is_expired(now))
            .map(|(_, message)| Arc::clone(message))
            .collect()
    }

    pub fn forget_expired(&mut self, now: Timestamp) {
        let bytes = &mut self.bytes;
        self.by_topic.retain(|_, message| {
            let keep = !message.is_expired(now);
            *bytes -= if keep { 0 } else { message.weight() };
            keep
        });
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.by_topic.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmqtt_codec::types::QoS;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Arc::new(Message::new(topic, b"", payload.as_bytes(), QoS::AtLeastOnce))
    }

    fn topics(retained: &Retained, filter: &str) -> Vec<String> {
        let found = retained.matching(&filter.parse().unwrap(), Timestamp(10));
        found.iter().map(|message| message.topic().to_owned()).collect()
    }

    #[test]
    fn matching_looks_at_the_topics_that_can_match() {
        let mut retained = Retained::default();
        for topic in ["a", "a/b", "a/b/c", "ab", "b/b", "$x/y"] {
            assert!(retained.set(&message(topic, "1"), 10, 10_000));
        }
        assert_eq!(topics(&retained, "a/#"), ["a", "a/b", "a/b/c"]);
        assert_eq!(topics(&retained, "+/b"), ["a/b", "b/b"]);
        assert_eq!(topics(&retained, "#").len(), 5);
        assert_eq!(topics(&retained, "a/b"), ["a/b"]);
    }

    #[test]
    fn the_bounds_hold_and_an_empty_payload_makes_room() {
        let mut retained = Retained::default();
        assert!(retained.set(&message("a", "1"), 1, 10_000));
        assert!(!retained.set(&message("b", "1"), 1, 10_000));
        assert!(retained.set(&message("a", "2"), 1, 10_000));
        assert!(retained.set(&message("a", ""), 1, 10_000));
        assert_eq!(retained.bytes, 0);
        assert!(!retained.set(&message("b", "1"), 1, 10));
    }

    #[test]
    fn an_expired_message_is_not_found_and_is_forgotten() {
        let mut retained = Retained::default();
        let mut old = Message::new("a", b"", b"1", QoS::AtMostOnce);
        old.expires = Some(Timestamp(9));
        retained.set(&Arc::new(old), 10, 10_000);
        assert!(topics(&retained, "a").is_empty());
        retained.forget_expired(Timestamp(10));
        assert_eq!((retained.all().count(), retained.bytes), (0, 0));
    }
}
