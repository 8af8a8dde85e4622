//! Certificates that are good for nothing before their time is over.

use std::collections::HashSet;

use parking_lot::RwLock;

use crate::Serial;

/// Asked at every handshake. A list that is signed (CRL) would be verified there as a whole, where this is a look into a
/// table.
#[derive(Debug, Default)]
pub struct Revoked(RwLock<HashSet<Serial>>);

impl Revoked {
    pub fn contains(&self, serial: &Serial) -> bool {
        self.0.read().contains(serial)
    }

    /// None is ever taken back. Those that have run out are forgotten with the next start.
    pub fn add(&self, serials: impl IntoIterator<Item = Serial>) {
        self.0.write().extend(serials);
    }
}
