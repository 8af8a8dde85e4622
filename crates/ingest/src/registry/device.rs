//! A device as the door sees it.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use parking_lot::{Mutex, RwLock};
use springhouse_meta::Approval;
use springhouse_model::{DeviceId, Partition, SiteId, TenantId, Timestamp};

use crate::dedup::Window;

/// Shared by all shards; replaced never, changed in place.
#[derive(Debug)]
pub struct Device {
    pub tenant: TenantId,
    pub id: DeviceId,
    pub partition: Partition,
    state: AtomicU8,
    site: RwLock<Option<SiteId>>,
    /// Arrival of the last message, and how much of that meta knows.
    seen: AtomicI64,
    seen_written: AtomicI64,
    pub(crate) window: Mutex<Window>,
}

impl Device {
    pub(super) fn new(entry: springhouse_meta::Device) -> Device {
        let seen = entry.last_seen.map_or(i64::MIN, Timestamp::micros);
        Device {
            partition: Partition::of(entry.id.as_str()),
            tenant: entry.tenant,
            id: entry.id,
            state: AtomicU8::new(number(entry.state)),
            site: RwLock::new(entry.site),
            seen: AtomicI64::new(seen),
            seen_written: AtomicI64::new(seen),
            window: Mutex::new(Window::default()),
        }
    }

    pub(super) fn update(&self, entry: springhouse_meta::Device) {
        self.state.store(number(entry.state), Ordering::Release);
        *self.site.write() = entry.site;
    }

    pub fn state(&self) -> Approval {
        match self.state.load(Ordering::Acquire) {
            0 => Approval::Pending,
            1 => Approval::Approved,
            _ => Approval::Refused,
        }
    }

    pub fn site(&self) -> Option<SiteId> {
        self.site.read().clone()
    }

    pub(crate) fn with_site<R>(&self, read: impl FnOnce(Option<&SiteId>) -> R) -> R {
        read(self.site.read().as_ref())
    }

    pub fn last_seen(&self) -> Option<Timestamp> {
        match self.seen.load(Ordering::Relaxed) {
            i64::MIN => None,
            micros => Some(Timestamp(micros)),
        }
    }

    pub(crate) fn touch(&self, at: Timestamp) {
        self.seen.fetch_max(at.micros(), Ordering::Relaxed);
    }

    /// The last sign of life, when meta does not know it yet.
    pub(super) fn unwritten(&self) -> Option<Timestamp> {
        let seen = self.seen.load(Ordering::Relaxed);
        (self.seen_written.swap(seen, Ordering::Relaxed) < seen).then_some(Timestamp(seen))
    }
}

fn number(state: Approval) -> u8 {
    match state {
        Approval::Pending => 0,
        Approval::Approved => 1,
        Approval::Refused => 2,
    }
}
