//! Message ids that a device used lately.

/// The last ids of one device, oldest overwritten first. Ids are kept as 64-bit hashes with a key of this process:
/// two ids of one window share a hash once in 10^16 messages, and nobody outside can search for such a pair.
#[derive(Debug, Default)]
pub(crate) struct Window {
    hashes: Vec<u64>,
    /// Second of arrival of each; coarse, because the window is an hour.
    seconds: Vec<u32>,
    next: usize,
}

/// How ids are hashed and how long they count.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    hasher: ahash::RandomState,
    ids_max: usize,
    age_seconds_max: u32,
}

impl Memory {
    pub fn new(ids_max: usize, age: std::time::Duration) -> Memory {
        let age_seconds_max = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        Memory { hasher: ahash::RandomState::new(), ids_max: ids_max.max(1), age_seconds_max }
    }

    pub fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }
}

impl Window {
    /// Whether the id was remembered less than the window ago.
    pub fn has(&self, memory: &Memory, hash: u64, second: u32) -> bool {
        // A scan over at most 8 KiB, newest and oldest alike: as fast as a hash set and a fraction of its memory.
        let found = self.hashes.iter().rposition(|known| *known == hash);
        found.is_some_and(|index| second.saturating_sub(self.seconds[index]) <= memory.age_seconds_max)
    }

    pub fn remember(&mut self, memory: &Memory, hash: u64, second: u32) {
        if self.hashes.len() < memory.ids_max {
            self.hashes.push(hash);
            self.seconds.push(second);
            return;
        }
        self.next %= self.hashes.len();
        self.hashes[self.next] = hash;
        self.seconds[self.next] = second;
        self.next += 1;
    }
}

/// Arrival as the window counts it.
pub(crate) fn second_of(time: springhouse_model::Timestamp) -> u32 {
    u32::try_from(time.micros() / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_id_is_known_until_the_window_has_passed_in_number_or_time() {
        let memory = Memory::new(3, Duration::from_secs(10));
        let mut window = Window::default();
        for id in 1..=3 {
            window.remember(&memory, id, 100);
        }
        assert!(window.has(&memory, 1, 110));
        assert!(!window.has(&memory, 1, 111), "too old");
        window.remember(&memory, 4, 100);
        assert!(!window.has(&memory, 1, 100), "pushed out");
        assert!(window.has(&memory, 2, 100) && window.has(&memory, 4, 100));
    }
}
