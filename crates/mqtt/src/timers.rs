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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    SendWill,
    EndSession,
}

#[derive(Default)]
pub struct Timers {
    due: Mutex<(u64, BTreeMap<(Timestamp, u64), Due>)>,
    changed: Notify,
}

impl Timers {
    pub fn set(&self, at: Timestamp, due: Due) {
        let mut guard = self.due.lock();
        let (count, timers) = &mut *guard;
        *count += 1;
        let is_first = timers.first_key_value().is_none_or(|((first, _), _)| at < *first);
        timers.insert((at, *count), due);
        drop(guard);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// Everything that is due at `now`.
    pub fn take(&self, now: Timestamp) -> Vec<Due> {
        let timers = &mut self.due.lock().1;
        let later = timers.split_off(&(now.plus_micros(1), 0));
        std::mem::replace(timers, later).into_values().collect()
    }

    /// Returns when something may be due.
    pub async fn wait(&self, now: Timestamp) {
        let first = self.due.lock().1.first_key_value().map(|((at, _), _)| *at);
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
