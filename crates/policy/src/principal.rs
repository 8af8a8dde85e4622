//! An authenticated somebody and the questions that are asked of him.

use std::fmt;

use serde::{Deserialize, Serialize};
use springhouse_model::{DeviceId, SiteId, TenantId};

use crate::Scope;
use crate::topic::{TopicFilter, check_topic, shared_filter};

/// Who it is. A token that was issued to one device is that device, not a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Person {
        id: String,
        name: String,
    },
    Token {
        id: String,
        name: String,
    },
    Device(DeviceId),
    /// A client without credentials, on a listener whose configuration allows it.
    Anonymous {
        listener: String,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Person { name, .. } => write!(f, "person {name}"),
            Subject::Token { name, .. } => write!(f, "token {name}"),
            Subject::Device(id) => write!(f, "device {id}"),
            Subject::Anonymous { listener } => write!(f, "anonymous client of listener {listener}"),
        }
    }
}

/// The result of authentication: identity, home and rights, complete in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub tenant: TenantId,
    /// Where readings of unknown devices belong; a device's own entry in the registry wins.
    pub site: Option<SiteId>,
    pub subject: Subject,
    pub scopes: Vec<Scope>,
    /// The id of the token that it came with: good as long as that is.
    pub credential: Option<String>,
    /// Topics that may be published to beyond what subject and scopes give; all that an anonymous client may.
    pub publish: Vec<TopicFilter>,
    /// The same for subscriptions.
    pub subscribe: Vec<TopicFilter>,
}

impl Principal {
    pub fn person(tenant: TenantId, id: impl Into<String>, name: impl Into<String>) -> Principal {
        let subject = Subject::Person { id: id.into(), name: name.into() };
        Principal::of(tenant, None, subject, vec![Scope::Admin])
    }

    pub fn token(
        tenant: TenantId,
        site: Option<SiteId>,
        id: impl Into<String>,
        name: impl Into<String>,
        scopes: Vec<Scope>,
    ) -> Principal {
        let id = id.into();
        let subject = Subject::Token { id: id.clone(), name: name.into() };
        Principal::of(tenant, site, subject, scopes).with_credential(id)
    }

    pub fn with_credential(self, token: impl Into<String>) -> Principal {
        Principal { credential: Some(token.into()), ..self }
    }

    pub fn device(tenant: TenantId, site: Option<SiteId>, id: DeviceId) -> Principal {
        Principal::of(tenant, site, Subject::Device(id), Vec::new())
    }

    /// A client without credentials, which may publish and subscribe to `topics` and nothing else.
    pub fn anonymous(tenant: TenantId, listener: impl Into<String>, topics: Vec<TopicFilter>) -> Principal {
        let subject = Subject::Anonymous { listener: listener.into() };
        let mut principal = Principal::of(tenant, None, subject, Vec::new());
        principal.publish.clone_from(&topics);
        principal.subscribe = topics;
        principal
    }

    fn of(tenant: TenantId, site: Option<SiteId>, subject: Subject, scopes: Vec<Scope>) -> Principal {
        Principal {
            tenant,
            site,
            subject,
            scopes,
            credential: None,
            publish: Vec::new(),
            subscribe: Vec::new(),
        }
    }

    pub fn has(&self, needed: Scope) -> bool {
        self.scopes.iter().any(|scope| scope.contains(needed))
    }

    /// The device that this principal is, when it is one.
    pub fn own_device(&self) -> Option<&DeviceId> {
        match &self.subject {
            Subject::Device(id) => Some(id),
            _ => None,
        }
    }

    /// Whether readings may be delivered in the name of `device`.
    pub fn may_speak_for(&self, device: &DeviceId) -> bool {
        match &self.subject {
            Subject::Device(own) => own == device,
            Subject::Anonymous { .. } => true, // bounded by its listed topics
            Subject::Person { .. } | Subject::Token { .. } => self.has(Scope::Ingest),
        }
    }

    /// Whether a message may be published to `topic`. Topics that begin with `$` belong to the server.
    pub fn may_publish(&self, topic: &str) -> bool {
        if topic.starts_with('$') || check_topic(topic).is_err() {
            return false;
        }
        if self.publish.iter().any(|filter| filter.matches(topic)) {
            return true;
        }
        match &self.subject {
            Subject::Device(own) => {
                own_levels(topic, own).is_some_and(|stream| !stream.is_empty() && !stream.contains('/'))
            }
            Subject::Person { .. } | Subject::Token { .. } => self.has(Scope::Ingest),
            Subject::Anonymous { .. } => false,
        }
    }

    /// Whether everything that `filter` can match may be seen. A shared subscription is judged by its inner filter.
    pub fn may_subscribe(&self, filter: &str) -> bool {
        let inner = shared_filter(filter);
        let Ok(wanted) = inner.parse::<TopicFilter>() else { return false };
        if inner.starts_with('$') {
            return false;
        }
        if self.subscribe.iter().any(|allowed| allowed.covers(&wanted)) {
            return true;
        }
        match &self.subject {
            // No `+` or `#` can stand in the first two levels: those are compared as text.
            Subject::Device(own) => {
                own_levels(inner, own).is_some() || inner.strip_prefix("devices/") == Some(own.as_str())
            }
            Subject::Person { .. } | Subject::Token { .. } => self.has(Scope::Read),
            Subject::Anonymous { .. } => false,
        }
    }
}

/// What follows `devices/{own}/` in a topic or filter.
fn own_levels<'a>(topic: &'a str, own: &DeviceId) -> Option<&'a str> {
    topic.strip_prefix("devices/")?.strip_prefix(own.as_str())?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Principal {
        Principal::device(TenantId::main(), None, "lamp-1".parse().unwrap())
    }

    fn token(scopes: &[Scope]) -> Principal {
        Principal::token(TenantId::main(), None, "t1", "gateway", scopes.to_vec())
    }

    #[test]
    fn a_device_publishes_its_own_topics_only() {
        let device = device();
        assert!(device.may_publish("devices/lamp-1/state"));
        for topic in [
            "devices/lamp-2/state",
            "devices/lamp-11/state",
            "devices/lamp-1/a/b",
            "devices/lamp-1/",
            "devices/lamp-1",
            "devices/lamp-1/+",
            "$SYS/x",
            "anything",
            "",
        ] {
            assert!(!device.may_publish(topic), "{topic}");
        }
        assert!(device.may_speak_for(&"lamp-1".parse().unwrap()));
        assert!(!device.may_speak_for(&"lamp-2".parse().unwrap()));
    }

    #[test]
    fn a_device_listens_to_its_own_topics_only() {
        let device = device();
        for filter in
            ["devices/lamp-1/#", "devices/lamp-1/+", "devices/lamp-1", "$share/g/devices/lamp-1/x/y"]
        {
            assert!(device.may_subscribe(filter), "{filter}");
        }
        for filter in [
            "#",
            "devices/#",
            "devices/+/state",
            "devices/lamp-2/#",
            "$SYS/#",
            "$share/g/#",
            "devices/lamp-1/#/x",
        ] {
            assert!(!device.may_subscribe(filter), "{filter}");
        }
    }

    #[test]
    fn a_token_delivers_with_ingest_and_listens_with_read() {
        let gateway = token(&[Scope::Ingest]);
        assert!(gateway.may_publish("zigbee2mqtt/lamp"));
        assert!(!gateway.may_publish("$SYS/broker"));
        assert!(!gateway.may_subscribe("devices/#"));
        let reader = token(&[Scope::Read]);
        assert!(!reader.may_publish("devices/a/b"));
        assert!(reader.may_subscribe("#"));
        assert!(!reader.may_subscribe("$SYS/#"));
        let admin = token(&[Scope::Admin]);
        assert!(admin.may_publish("devices/a/b") && admin.may_subscribe("#") && admin.has(Scope::Write));
    }

    #[test]
    fn an_anonymous_client_has_its_listed_topics_and_nothing_else() {
        let topics = vec!["TopicA/#".parse().unwrap(), "test/+".parse().unwrap()];
        let visitor = Principal::anonymous(TenantId::main(), "paho", topics);
        assert!(visitor.may_publish("TopicA/B") && visitor.may_publish("test/x"));
        assert!(visitor.may_subscribe("TopicA/+") && visitor.may_subscribe("test/+"));
        assert!(!visitor.may_publish("devices/a/b"));
        assert!(!visitor.may_subscribe("#") && !visitor.may_subscribe("test/#"));
        assert!(!visitor.has(Scope::Read) && !visitor.has(Scope::Ingest));
    }
}
