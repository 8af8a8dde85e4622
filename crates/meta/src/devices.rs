//! Devices: who may send, and when each was last heard.

use async_trait::async_trait;
use serde::Serialize;
use springhouse_model::{DeviceId, SiteId, TenantId, Timestamp};

use crate::{Approval, Result};

/// A device to be registered.
#[derive(Clone, Debug)]
pub struct NewDevice {
    pub tenant: TenantId,
    pub id: DeviceId,
    pub site: Option<SiteId>,
    pub state: Approval,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    pub tenant: TenantId,
    pub id: DeviceId,
    pub site: Option<SiteId>,
    pub state: Approval,
    pub created_at: Timestamp,
    pub last_seen: Option<Timestamp>,
}

/// A sign of life.
#[derive(Clone, Debug)]
pub struct Seen {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub at: Timestamp,
}

#[async_trait]
pub trait Devices: Send + Sync {
    /// The devices of a tenant, by name.
    async fn devices(&self, tenant: &TenantId) -> Result<Vec<Device>>;
    async fn device(&self, tenant: &TenantId, id: &DeviceId) -> Result<Option<Device>>;
    /// Registers the device, or returns the one that exists already; its state stays, and its site is filled in
    /// when it had none.
    async fn register_device(&self, device: NewDevice) -> Result<Device>;
    async fn set_device_state(&self, tenant: &TenantId, id: &DeviceId, state: Approval) -> Result<Device>;
    async fn set_device_site(
        &self,
        tenant: &TenantId,
        id: &DeviceId,
        site: Option<&SiteId>,
    ) -> Result<Device>;
    /// Moves `last_seen` forward, never back; unknown devices are skipped. A power cut may lose the last of these.
    async fn touch_devices(&self, seen: &[Seen]) -> Result<()>;
}
