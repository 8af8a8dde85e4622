//! Who somebody is and what follows from it. Pure decisions: no IO, no clock, no storage.
//!
//! A gateway or the API authenticates once and gets a [`Principal`]; everything after that asks the principal.
//! Nothing is looked up per message. Who may exist at all (tokens, passwords, certificates) is the business of
//! `meta`, what a payload may contain that of `schema`.

mod principal;
mod scope;
mod topic;

pub use principal::{Principal, Subject};
pub use scope::{Scope, UnknownScope};
pub use topic::{TopicError, TopicFilter, check_topic, shared_filter};
