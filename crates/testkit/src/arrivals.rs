//! What is on its way from where it happened to where it is received.

use std::collections::BTreeMap;

/// Things by the time of their arrival; of those that arrive together, the one that was sent first comes first.
pub(crate) struct Arrivals<T> {
    travelling: BTreeMap<(u64, u64), T>,
    sent: u64,
}

impl<T> Arrivals<T> {
    pub(crate) fn new() -> Arrivals<T> {
        Arrivals { travelling: BTreeMap::new(), sent: 0 }
    }

    pub(crate) fn send(&mut self, arrival_ms: u64, thing: T) {
        self.travelling.insert((arrival_ms, self.sent), thing);
        self.sent += 1;
    }

    /// The next thing that has arrived by a time; nothing that is sent from then on may arrive before it.
    pub(crate) fn next_by(&mut self, now_ms: u64) -> Option<T> {
        let first = self.travelling.first_entry()?;
        (first.key().0 <= now_ms).then(|| first.remove())
    }

    /// The next thing, whenever it arrives: nothing more is sent.
    pub(crate) fn next(&mut self) -> Option<T> {
        self.travelling.pop_first().map(|(_, thing)| thing)
    }
}
