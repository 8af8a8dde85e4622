//! Streams and devices by name, in memory: what the door asks for every message.
//!
//! Meta is the truth. Changes go through the methods here, which write meta first and memory after, one at a time, so
//! that no shard ever uses a schema that a restart would not find.

mod change;
mod device;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;
use springhouse_meta::{Meta, Seen, StreamEntry};
use springhouse_model::{DeviceId, StreamKey, StreamName, TenantId};
use springhouse_schema::Schema;
use tokio::sync::{Mutex, watch};

use crate::RegistryError;
use crate::quarantine;
pub use device::Device;
pub use stream::Stream;

type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// Cheap to clone; all clones are one registry.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    meta: Arc<dyn Meta>,
    names: RwLock<Names>,
    /// Moves when a name no longer leads where it led: what shards have remembered by name is void.
    generation: AtomicU64,
    version: watch::Sender<u64>,
    /// Changes take turns.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Names {
    tenants: Map<TenantId, Tenant>,
    by_id: Map<u32, Arc<Stream>>,
}

#[derive(Default)]
struct Tenant {
    streams: Map<StreamName, Arc<Stream>>,
    /// Names of tables: no stream can have them.
    tables: HashSet<StreamName, ahash::RandomState>,
    devices: Map<DeviceId, Arc<Device>>,
}

impl Registry {
    /// Reads everything that meta knows.
    pub(crate) async fn load(meta: Arc<dyn Meta>) -> Result<Registry, RegistryError> {
        let registry = Registry {
            shared: Arc::new(Shared {
                meta,
                names: RwLock::new(Names::default()),
                generation: AtomicU64::new(0),
                version: watch::Sender::new(0),
                turn: Mutex::new(()),
            }),
        };
        for entry in registry.shared.meta.streams(None).await? {
            registry.put_entry(entry);
        }
        let tenants: Vec<_> = registry.shared.names.read().tenants.keys().cloned().collect();
        for tenant in tenants.iter().chain([&TenantId::main()]) {
            registry.load_tenant(tenant).await?;
        }
        Ok(registry)
    }

    /// Makes sure that the tenant is known here and has its quarantine.
    async fn load_tenant(&self, tenant: &TenantId) -> Result<(), RegistryError> {
        for entry in self.shared.meta.streams(Some(tenant)).await? {
            self.put_entry(entry);
        }
        for entry in self.shared.meta.devices(tenant).await? {
            self.put_device(entry);
        }
        let quarantine = self.shared.meta.create_stream(quarantine::stream_of(tenant)).await?;
        self.put_entry(quarantine);
        Ok(())
    }

    pub(crate) async fn ensure_tenant(&self, tenant: &TenantId) -> Result<(), RegistryError> {
        if self.quarantine(tenant).is_some() {
            return Ok(());
        }
        let _turn = self.shared.turn.lock().await;
        self.load_tenant(tenant).await
    }

    /// Reads the tenant again, after somebody has written meta without the registry.
    pub async fn reload(&self, tenant: &TenantId) {
        let _turn = self.shared.turn.lock().await;
        if let Err(error) = self.load_tenant(tenant).await {
            tracing::error!(%tenant, error = &error as &dyn std::error::Error, "cannot reload the registry");
        }
    }

    pub(crate) fn stream(&self, tenant: &TenantId, name: &str) -> Option<Arc<Stream>> {
        self.shared.names.read().tenants.get(tenant)?.streams.get(name).cloned()
    }

    pub(crate) fn quarantine(&self, tenant: &TenantId) -> Option<Arc<Stream>> {
        self.stream(tenant, quarantine::QUARANTINE_STREAM)
    }

    /// Of the tenant's streams and devices, how many there are.
    pub(crate) fn counts(&self, tenant: &TenantId) -> (usize, usize) {
        let names = self.shared.names.read();
        names.tenants.get(tenant).map_or((0, 0), |tenant| (tenant.streams.len(), tenant.devices.len()))
    }

    /// Notes that a table has, or no table has, this name: messages for a stream of the name are held.
    pub fn set_table(&self, key: &StreamKey, is_there: bool) {
        let mut names = self.shared.names.write();
        let tables = &mut names.tenants.entry(key.tenant.clone()).or_default().tables;
        match is_there {
            true => drop(tables.insert(key.name.clone())),
            false => drop(tables.remove(&key.name)),
        }
    }

    pub(crate) fn is_table(&self, tenant: &TenantId, name: &StreamName) -> bool {
        self.shared.names.read().tenants.get(tenant).is_some_and(|tenant| tenant.tables.contains(name))
    }

    /// The stream as it stands.
    pub fn entry(&self, key: &StreamKey) -> Option<Arc<StreamEntry>> {
        self.stream(&key.tenant, key.name.as_str()).map(|stream| stream.entry())
    }

    /// The stream by the number that log records carry.
    pub fn by_id(&self, id: u32) -> Option<Arc<StreamEntry>> {
        self.shared.names.read().by_id.get(&id).map(|stream| stream.entry())
    }

    /// The schema that a stream has at present.
    pub fn schema(&self, id: u32) -> Option<Arc<Schema>> {
        self.shared.names.read().by_id.get(&id).map(|stream| stream.schema())
    }

    /// The streams of a tenant, by number.
    pub fn streams(&self, tenant: &TenantId) -> Vec<Arc<StreamEntry>> {
        self.entries(Some(tenant))
    }

    /// The streams of a tenant, or with `None` of all, by number.
    pub fn entries(&self, tenant: Option<&TenantId>) -> Vec<Arc<StreamEntry>> {
        let names = self.shared.names.read();
        let wanted =
            names.by_id.values().filter(|stream| tenant.is_none_or(|tenant| stream.key.tenant == *tenant));
        let mut entries: Vec<_> = wanted.map(|stream| stream.entry()).collect();
        entries.sort_by_key(|entry| entry.id);
        entries
    }

    pub fn device(&self, tenant: &TenantId, id: &DeviceId) -> Option<Arc<Device>> {
        self.device_named(tenant, id.as_str())
    }

    pub(crate) fn device_named(&self, tenant: &TenantId, id: &str) -> Option<Arc<Device>> {
        self.shared.names.read().tenants.get(tenant)?.devices.get(id).cloned()
    }

    /// The devices of a tenant, by name.
    pub fn devices(&self, tenant: &TenantId) -> Vec<Arc<Device>> {
        let names = self.shared.names.read();
        let mut devices: Vec<_> = names
            .tenants
            .get(tenant)
            .map(|tenant| tenant.devices.values().cloned().collect())
            .unwrap_or_default();
        devices.sort_by(|a: &Arc<Device>, b| a.id.cmp(&b.id));
        devices
    }

    /// Counts the changes: whoever keeps something derived from the registry looks again when it moves.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Writes down when devices were last heard.
    pub(crate) async fn write_seen(&self) -> Result<(), RegistryError> {
        let devices: Vec<_> = {
            let names = self.shared.names.read();
            names.tenants.values().flat_map(|tenant| tenant.devices.values().cloned()).collect()
        };
        let seen = devices.iter().filter_map(|device| {
            device.unwritten().map(|at| Seen { tenant: device.tenant.clone(), device: device.id.clone(), at })
        });
        let seen: Vec<_> = seen.collect();
        if !seen.is_empty() {
            self.shared.meta.touch_devices(&seen).await?;
        }
        Ok(())
    }

    fn put_entry(&self, entry: StreamEntry) -> Arc<Stream> {
        let mut names = self.shared.names.write();
        let known = names.by_id.get(&entry.id).cloned();
        let stream = match known {
            Some(stream) => {
                stream.update(entry);
                stream
            }
            None => {
                let stream = Arc::new(Stream::new(entry));
                names.by_id.insert(stream.id, Arc::clone(&stream));
                let tenant = names.tenants.entry(stream.key.tenant.clone()).or_default();
                let before = tenant.streams.insert(stream.key.name.clone(), Arc::clone(&stream));
                if let Some(before) = before {
                    names.by_id.remove(&before.id);
                    self.shared.generation.fetch_add(1, Ordering::Release);
                }
                stream
            }
        };
        drop(names);
        self.changed();
        stream
    }

    fn put_device(&self, entry: springhouse_meta::Device) -> Arc<Device> {
        let mut names = self.shared.names.write();
        let tenant = names.tenants.entry(entry.tenant.clone()).or_default();
        let device = match tenant.devices.get(&entry.id).cloned() {
            Some(device) => {
                device.update(entry);
                device
            }
            None => {
                let device = Arc::new(Device::new(entry));
                tenant.devices.insert(device.id.clone(), Arc::clone(&device));
                device
            }
        };
        drop(names);
        self.changed();
        device
    }

    fn changed(&self) {
        self.shared.version.send_modify(|version| *version += 1);
    }
}
