//! How often somebody may guess. Failed sign-ins count by name and peer together, by peer, and by name; past a
//! count's allowance the wait doubles with every further failure.
//!
//! The three allowances differ so that nobody is locked out by a stranger who guesses his name from elsewhere, and
//! so that neither one peer trying many names nor many peers trying one name go on unhindered.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures without a wait: a person who mistypes.
const PAIR_FREE: u32 = 5;
/// A household behind one address.
const PEER_FREE: u32 = 20;
/// Guesses at one name from everywhere.
const NAME_FREE: u32 = 100;
const WAIT_MAX: Duration = Duration::from_secs(300);
/// A count without a failure for this long starts again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);
/// Memory is bounded; past this the oldest counts go.
const COUNTS_MAX: usize = 20_000;

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
    open_at: Instant,
}

/// Counts of failures. Names are kept as keyed hashes: what people type into a name field may be a password.
pub(crate) struct Attempts {
    counts: Mutex<HashMap<u64, Count>>,
    hasher: RandomState,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts { counts: Mutex::default(), hasher: RandomState::new() }
    }
}

impl Attempts {
    /// Counts an attempt before its outcome is known, so that many at once gain nothing; returns how long to wait
    /// instead when there were too many.
    pub fn begin(&self, name: &str, peer: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let mut counts = self.counts.lock();
        if counts.len() >= COUNTS_MAX {
            counts.retain(|_, count| now.duration_since(count.last) < FORGOTTEN_AFTER);
            drop_oldest(&mut counts);
        }
        let keys = self.keys(name, peer);
        let wait = keys
            .iter()
            .filter_map(|(key, _)| counts.get(key))
            .filter_map(|count| count.open_at.checked_duration_since(now))
            .max()
            .filter(|wait| !wait.is_zero());
        if let Some(wait) = wait {
            return Err(wait);
        }
        for (key, free) in keys {
            let count = counts.entry(key).or_insert(Count { failures: 0, last: now, open_at: now });
            if now.duration_since(count.last) >= FORGOTTEN_AFTER {
                count.failures = 0;
            }
            count.failures += 1;
            count.last = now;
            count.open_at = now + wait_after(count.failures, free);
        }
        Ok(())
    }

    /// A success takes back what this name has counted, but not what the peer has tried with other names.
    pub fn succeeded(&self, name: &str, peer: IpAddr) {
        let mut counts = self.counts.lock();
        let [(pair, _), (by_peer, free), (by_name, _)] = self.keys(name, peer);
        counts.remove(&pair);
        counts.remove(&by_name);
        if let Some(count) = counts.get_mut(&by_peer) {
            count.failures = count.failures.saturating_sub(1);
            count.open_at = count.last + wait_after(count.failures, free);
        }
    }

    fn keys(&self, name: &str, peer: IpAddr) -> [(u64, u32); 3] {
        let peer = network_of(peer);
        [
            (self.hasher.hash_one((1, name, peer)), PAIR_FREE),
            (self.hasher.hash_one((2, peer)), PEER_FREE),
            (self.hasher.hash_one((3, name)), NAME_FREE),
        ]
    }
}

/// One household has a whole /64 of IPv6 addresses.
fn network_of(peer: IpAddr) -> [u8; 8] {
    match peer.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            std::array::from_fn(|index| octets[index])
        }
    }
}

fn wait_after(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(9)).min(WAIT_MAX),
    }
}

fn drop_oldest(counts: &mut HashMap<u64, Count>) {
    if counts.len() < COUNTS_MAX {
        return;
    }
    let mut times: Vec<Instant> = counts.values().map(|count| count.last).collect();
    let (_, middle, _) = times.select_nth_unstable(COUNTS_MAX / 2);
    let middle = *middle;
    counts.retain(|_, count| count.last > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_doubles_after_five_failures() {
        let attempts = Attempts::default();
        for _ in 0..PAIR_FREE {
            assert!(attempts.begin("ada", peer(1)).is_ok());
        }
        assert!(attempts.begin("ada", peer(1)).is_ok(), "the sixth is tried, and then waited for");
        assert_eq!(attempts.begin("ada", peer(1)), Err(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(attempts.begin("ada", peer(1)).is_ok());
        assert_eq!(attempts.begin("ada", peer(1)), Err(Duration::from_secs(4)));
        assert!(attempts.begin("ada", peer(2)).is_ok(), "another peer is not held up");
        assert!(attempts.begin("bob", peer(1)).is_ok(), "another name is not held up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_takes_the_failures_back() {
        let attempts = Attempts::default();
        for _ in 0..50 {
            assert!(attempts.begin("ada", peer(1)).is_ok());
            attempts.succeeded("ada", peer(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_cannot_try_many_names() {
        let attempts = Attempts::default();
        let tried = (0..100).filter(|n| attempts.begin(&format!("name-{n}"), peer(1)).is_ok()).count();
        assert_eq!(tried, PEER_FREE as usize + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..50_000_u32 {
            let address = IpAddr::from((n | 0x0a00_0000).to_be_bytes());
            let _ = attempts.begin(&n.to_string(), address);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(attempts.counts.lock().len() <= COUNTS_MAX + 3);
    }
}
