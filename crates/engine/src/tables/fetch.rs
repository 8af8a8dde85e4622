//! What stands at addresses on other machines. The engine makes no connections: whoever opens it may bring something that
//! does, and knows which addresses the owner has named.

use std::fmt;

use bytes::Bytes;
use springhouse_model::ErrorClass;

/// Reads from the addresses that the owner of a hub has named.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// All that stands at an address, if it is not more than so many bytes. Blocks, for a bounded time.
    fn fetch(&self, address: &str, bytes_max: usize) -> Result<Bytes, FetchError>;

    /// How often it has connected to another machine.
    fn connections(&self) -> u64;
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{address}` {why}; hint: {hint}")]
    Refused { address: String, why: &'static str, hint: String },
    /// `address` without what follows `?`, where keys may stand.
    #[error("cannot read `{address}`: {why}")]
    Failed { address: String, why: String },
}

/// An address as it may be shown: what follows may be a key.
pub fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

impl FetchError {
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            FetchError::Refused { .. } => ErrorClass::User,
            FetchError::Failed { .. } => ErrorClass::Environment,
        }
    }
}
