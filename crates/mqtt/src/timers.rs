//! What has to happen later: the end of a session that nobody came back to, a delayed will.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use springhouse_model::Timestamp;
use tokio::sync::Notify;

use crate::session::Session;
use crate::tenant::Tenant;

/// Longest sleep, so that a wall clock that is set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Due {
    pub tenant: Arc<Tenant>,
    pub session: Arc<Session>,
    /// Attachment count at which the timer was set; another one makes it stale.
    pub generation: u64,
    pub what: What,
}

/// A timer that is set, to cancel it by.
pub type Key = (Timestamp, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    SendWill,
    EndSession,
}

#[derive(Default)]
pub struct Timers {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    /// Tells timers of the same time apart.
    count: u64,
    due: BTreeMap<Key, Due>,
}

impl Queue {
    fn first(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }
}

impl Timers {
    pub fn set(&self, at: Timestamp, due: Due) -> Key {
        let mut queue = self.queue.lock();
        let is_first = queue.first().is_none_or(|first| at < first);
        queue.count += 1;
        let key = (at, queue.count);
        queue.due.insert(key, due);
        drop(queue);
        if is_first {
            self.changed.notify_one();
        }
        key
    }

    /// Forgets a timer. One that is not there any more is no matter.
    pub fn cancel(&self, key: Key) {
        self.queue.lock().due.remove(&key);
    }

    /// Everything that is due at `now`.
    pub fn take(&self, now: Timestamp) -> Vec<Due> {
        let mut queue = self.queue.lock();
        let later = queue.due.split_off(&(now.plus_micros(1), 0));
        std::mem::replace(&mut queue.due, later).into_values().collect()
    }

    /// Returns when something may be due.
    pub async fn wait(&self, now: Timestamp) {
        let first = self.queue.lock().first();
        let sleep = first.map_or(SLEEP_MAX, |at| {
            let micros = u64::try_from(at.micros() - now.micros()).unwrap_or(0);
            Duration::from_micros(micros).min(SLEEP_MAX)
        });
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = self.changed.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use springhouse_model::TenantId;

    fn due(generation: u64) -> Due {
        Due {
            tenant: Arc::new(Tenant::new(TenantId::main())),
            session: Arc::new(Session::new(1, "k")),
            generation,
            what: What::EndSession,
        }
    }

    #[test]
    fn what_is_due_is_taken_and_what_is_cancelled_is_forgotten() {
        let timers = Timers::default();
        let first = timers.set(Timestamp(5), due(1));
        timers.set(Timestamp(5), due(2));
        timers.set(Timestamp(6), due(3));
        timers.cancel(first);
        let taken: Vec<u64> = timers.take(Timestamp(5)).iter().map(|due| due.generation).collect();
        assert_eq!(taken, [2]);
        timers.cancel(first);
        assert_eq!(timers.queue.lock().due.len(), 1);
    }
}
