//! Numbers of journal events, and the guard that keeps a snapshot from missing one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::event::{Entry, Event};

/// Held from before a change is made in memory until the commit that will hold its event is known and every change
/// of the batch is made. See [`crate::snapshot`].
pub type Guard = Arc<()>;

#[derive(Debug, Default)]
pub struct Journal {
    next_number: AtomicU64,
    guard: Mutex<Guard>,
    /// Highest commit that holds an event.
    commit: AtomicU64,
}

impl Journal {
    pub fn starting_at(number: u64) -> Journal {
        Journal { next_number: AtomicU64::new(number), ..Journal::default() }
    }

    /// Gives the event its number. Call it under the lock of what the event changes.
    pub fn entry(&self, event: Event) -> Entry {
        Entry { number: self.next_number.fetch_add(1, Ordering::Relaxed), event }
    }

    pub fn next_number(&self) -> u64 {
        self.next_number.load(Ordering::Relaxed)
    }

    pub fn guard(&self) -> Guard {
        Arc::clone(&self.guard.lock())
    }

    /// Lets later batches use another guard and gives the present one, which is alone once all earlier batches are done.
    pub fn turn(&self) -> Guard {
        std::mem::take(&mut *self.guard.lock())
    }

    pub fn committed(&self, commit: u64) {
        self.commit.fetch_max(commit, Ordering::Relaxed);
    }

    pub fn commit(&self) -> u64 {
        self.commit.load(Ordering::Relaxed)
    }
}
