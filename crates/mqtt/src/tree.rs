//! Who subscribes to what, as a tree of topic levels.
//!
//! Publishers hold the read lock of their tenant's tree only while they look up a topic that they have not seen since the
//! last change, see [`crate::route`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::RandomState;
use parking_lot::RwLock;
use rmqtt_codec::types::QoS;

use crate::event::SessionId;
use crate::session::Session;
use crate::topic::Filter;
use crate::wire::SubscriptionOptions;

/// Subscriptions of one tenant.
#[derive(Debug, Default)]
pub struct Tree {
    root: Node,
    count: usize,
}

/// What lies below one level; `+` and `#` are ordinary keys here.
#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node, RandomState>,
    subscribers: Vec<Subscriber>,
    groups: Vec<Arc<Group>>,
}

#[derive(Clone, Debug)]
pub struct Subscriber {
    pub session: Arc<Session>,
    pub options: SubscriptionOptions,
    /// Zero when the client gave none.
    pub id: u32,
}

/// Members of a shared subscription; each message goes to one of them (MQTT 5 §4.8.2).
#[derive(Debug)]
pub struct Group {
    name: Box<str>,
    members: RwLock<Vec<Subscriber>>,
    turn: AtomicUsize,
}

/// The sessions that a topic reaches, each once, with the best QoS of its subscriptions (§3.3.4).
#[derive(Debug, Default)]
pub struct Matches {
    pub sessions: Vec<Match>,
    pub groups: Vec<Arc<Group>>,
}

#[derive(Clone, Debug)]
pub struct Match {
    pub session: Arc<Session>,
    pub qos: QoS,
    pub retain_as_published: bool,
    pub subscription_ids: Vec<u32>,
}

impl Matches {
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.groups.is_empty()
    }
}

impl From<&Subscriber> for Match {
    fn from(subscriber: &Subscriber) -> Match {
        Match {
            session: Arc::clone(&subscriber.session),
            qos: subscriber.options.qos,
            retain_as_published: subscriber.options.retain_as_published,
            subscription_ids: if subscriber.id == 0 { Vec::new() } else { vec![subscriber.id] },
        }
    }
}

impl Group {
    /// The member whose turn it is: among those who are connected, otherwise among those for whom messages wait.
    pub fn choose(&self) -> Option<Match> {
        let members = self.members.read();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..members.len()).map(|step| &members[(turn + step) % members.len()]);
        let connected = in_turn().find(|member| member.session.lock().is_attached);
        connected.or_else(|| in_turn().find(|member| member.session.lock().is_durable)).map(Match::from)
    }
}

impl Tree {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a subscription or replaces the one that the session has on this filter.
    pub fn insert(&mut self, filter: Filter<'_>, subscriber: Subscriber) {
        let mut node = &mut self.root;
        for level in filter.filter.split('/') {
            if !node.children.contains_key(level) {
                node.children.insert(level.into(), Node::default());
            }
            // The key is there: it was inserted above.
            let Some(child) = node.children.get_mut(level) else { return };
            node = child;
        }
        let is_new = match filter.group {
            None => replace(&mut node.subscribers, subscriber),
            Some(name) => match node.groups.iter().find(|group| &*group.name == name) {
                Some(group) => replace(&mut group.members.write(), subscriber),
                None => {
                    let members = RwLock::new(vec![subscriber]);
                    node.groups.push(Arc::new(Group {
                        name: name.into(),
                        members,
                        turn: AtomicUsize::new(0),
                    }));
                    true
                }
            },
        };
        self.count += usize::from(is_new);
    }

    pub fn remove(&mut self, filter: Filter<'_>, session: SessionId) {
        let levels: Vec<&str> = filter.filter.split('/').collect();
        if self.root.remove(&levels, filter.group, session) {
            self.count -= 1;
        }
    }

    /// Whom a message of `publisher` on `topic` reaches.
    pub fn matching(&self, topic: &str, publisher: SessionId) -> Matches {
        let mut found = Found { publisher, subscribers: Vec::new(), groups: Vec::new() };
        if !self.is_empty() {
            self.root.collect(Some(topic), topic.starts_with('$'), &mut found);
        }
        found.merge()
    }
}

fn replace(subscribers: &mut Vec<Subscriber>, subscriber: Subscriber) -> bool {
    match subscribers.iter_mut().find(|present| present.session.id == subscriber.session.id) {
        Some(present) => {
            *present = subscriber;
            false
        }
        None => {
            subscribers.push(subscriber);
            true
        }
    }
}

impl Node {
    fn remove(&mut self, levels: &[&str], group: Option<&str>, session: SessionId) -> bool {
        if let Some((level, rest)) = levels.split_first() {
            let Some(child) = self.children.get_mut(*level) else { return false };
            let removed = child.remove(rest, group, session);
            if child.children.is_empty() && child.subscribers.is_empty() && child.groups.is_empty() {
                self.children.remove(*level);
            }
            return removed;
        }
        let before = |subscribers: &mut Vec<Subscriber>| {
            let count = subscribers.len();
            subscribers.retain(|subscriber| subscriber.session.id != session);
            count != subscribers.len()
        };
        match group {
            None => before(&mut self.subscribers),
            Some(name) => {
                let found = self.groups.iter().find(|present| &*present.name == name);
                let removed = found.is_some_and(|present| before(&mut present.members.write()));
                self.groups.retain(|present| !present.members.read().is_empty());
                removed
            }
        }
    }

    fn collect(&self, topic: Option<&str>, is_hidden: bool, found: &mut Found) {
        // `#` stands for the rest, also for nothing: `a/#` matches `a`. Not for a first level that begins with `$`.
        if let (Some(rest), false) = (self.children.get("#"), is_hidden) {
            found.add(rest);
        }
        let Some(topic) = topic else { return found.add(self) };
        let (level, rest) = match topic.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (topic, None),
        };
        if let Some(child) = self.children.get(level) {
            child.collect(rest, false, found);
        }
        if let (Some(child), false) = (self.children.get("+"), is_hidden) {
            child.collect(rest, false, found);
        }
    }
}

struct Found {
    publisher: SessionId,
    subscribers: Vec<Match>,
    groups: Vec<Arc<Group>>,
}

impl Found {
    fn add(&mut self, node: &Node) {
        let heard = |subscriber: &&Subscriber| {
            !(subscriber.options.no_local && subscriber.session.id == self.publisher)
        };
        self.subscribers.extend(node.subscribers.iter().filter(heard).map(Match::from));
        self.groups.extend(node.groups.iter().cloned());
    }

    fn merge(mut self) -> Matches {
        self.subscribers.sort_by_key(|found| found.session.id);
        let mut sessions: Vec<Match> = Vec::with_capacity(self.subscribers.len());
        for found in self.subscribers {
            match sessions.last_mut() {
                Some(last) if last.session.id == found.session.id => {
                    last.qos = last.qos.max(found.qos);
                    last.retain_as_published |= found.retain_as_published;
                    last.subscription_ids.extend(found.subscription_ids);
                }
                _ => sessions.push(found),
            }
        }
        Matches { sessions, groups: self.groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::parse_filter;
    use proptest::prelude::*;

    fn subscriber(session: &Arc<Session>, qos: u8, id: u32) -> Subscriber {
        let options = SubscriptionOptions::from_byte(qos).unwrap();
        Subscriber { session: Arc::clone(session), options, id }
    }

    fn session(id: SessionId) -> Arc<Session> {
        Arc::new(Session::new(id, "k"))
    }

    #[test]
    fn overlapping_subscriptions_reach_a_session_once() {
        let (mut tree, one) = (Tree::default(), session(1));
        tree.insert(parse_filter("a/#").unwrap(), subscriber(&one, 2, 7));
        tree.insert(parse_filter("a/+").unwrap(), subscriber(&one, 1, 8));
        tree.insert(parse_filter("a/+").unwrap(), subscriber(&one, 1, 9));
        let matches = tree.matching("a/b", 5).sessions;
        assert_eq!(matches.len(), 1);
        assert_eq!(matches[0].qos, QoS::ExactlyOnce);
        let mut ids = matches[0].subscription_ids.clone();
        ids.sort_unstable();
        assert_eq!(ids, [7, 9]);
        tree.remove(parse_filter("a/#").unwrap(), 1);
        tree.remove(parse_filter("a/+").unwrap(), 1);
        assert!(tree.is_empty() && tree.root.children.is_empty());
    }

    #[test]
    fn no_local_hides_ones_own_messages() {
        let (mut tree, one) = (Tree::default(), session(1));
        tree.insert(parse_filter("a").unwrap(), subscriber(&one, 0x04, 0));
        assert!(tree.matching("a", 1).is_empty());
        assert_eq!(tree.matching("a", 2).sessions.len(), 1);
    }

    #[test]
    fn members_of_a_group_take_turns_and_the_connected_come_first() {
        let mut tree = Tree::default();
        let members: Vec<_> = (1..=3).map(session).collect();
        for member in &members {
            member.lock().is_attached = true;
            tree.insert(parse_filter("$share/g/a/+").unwrap(), subscriber(member, 1, 0));
        }
        let group = tree.matching("a/b", 9).groups.pop().unwrap();
        let mut chosen: Vec<_> = (0..3).map(|_| group.choose().unwrap().session.id).collect();
        chosen.sort_unstable();
        assert_eq!(chosen, [1, 2, 3]);
        members[0].lock().is_attached = false;
        members[1].lock().is_attached = false;
        assert!((0..5).all(|_| group.choose().unwrap().session.id == 3));
        members[2].lock().is_attached = false;
        assert!(group.choose().is_none());
        members[1].lock().is_durable = true;
        assert_eq!(group.choose().unwrap().session.id, 2);
    }

    proptest! {
        /// The tree finds what comparing every filter finds.
        #[test]
        fn the_tree_agrees_with_the_plain_matcher(
            filters in prop::collection::vec("(\\+|a|b|\\$s|)(/(\\+|a|b|)){0,3}(/#)?", 1..8),
            topic in "(a|b|\\$s|)(/(a|b|)){0,3}",
        ) {
            let mut tree = Tree::default();
            let valid: Vec<_> = filters.iter().filter(|filter| parse_filter(filter).is_ok()).collect();
            for (id, filter) in (1..).zip(&valid) {
                tree.insert(parse_filter(filter).unwrap(), subscriber(&session(id), 0, 0));
            }
            let expected: Vec<u64> = (1..).zip(&valid)
                .filter(|(_, filter)| filter.parse::<springhouse_policy::TopicFilter>().unwrap().matches(&topic))
                .map(|(id, _)| id).collect();
            let found: Vec<u64> = tree.matching(&topic, 99).sessions.iter().map(|found| found.session.id).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
