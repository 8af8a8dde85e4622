//! Changing the registry: meta first, memory after.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use springhouse_meta::{Approval, NewDevice, NewStream, Origin, StreamEntry};
use springhouse_model::{DeviceId, SiteId, StreamKey, TenantId};
use springhouse_schema::Schema;

use super::{Device, Registry, Stream};
use crate::RegistryError;

impl Registry {
    /// Creates the stream, or returns the one that has this name already, unchanged.
    pub async fn create(&self, stream: NewStream) -> Result<StreamEntry, RegistryError> {
        self.ensure_tenant(&stream.key.tenant).await?;
        let _turn = self.shared.turn.lock().await;
        let entry = self.shared.meta.create_stream(stream).await?;
        self.put_entry(entry.clone());
        Ok(entry)
    }

    /// Adds a version, numbered after the latest. Refused when stored readings could not be read by it.
    pub async fn put_schema(&self, key: &StreamKey, schema: Schema) -> Result<StreamEntry, RegistryError> {
        let _turn = self.shared.turn.lock().await;
        let stream = self.known(key)?;
        let current = stream.schema();
        let reasons = current.incompatibilities(&schema);
        if !reasons.is_empty() {
            return Err(RegistryError::Incompatible { reasons });
        }
        let next = Schema { version: current.version + 1, ..schema };
        let entry = self.shared.meta.put_schema(key, &next).await?;
        self.put_entry(entry.clone());
        Ok(entry)
    }

    /// Agrees to a stream or refuses it. Approval freezes one that showed up by itself: what its schema has learned so
    /// far is what it stays.
    pub async fn set_stream_state(
        &self,
        key: &StreamKey,
        state: Approval,
    ) -> Result<StreamEntry, RegistryError> {
        let _turn = self.shared.turn.lock().await;
        let stream = self.known(key)?;
        let (before, schema) = (stream.entry(), stream.schema());
        let learning =
            before.state == Approval::Pending && before.origin == Origin::Inferred && schema.additional;
        if learning && state == Approval::Approved {
            let frozen = Schema { version: schema.version + 1, additional: false, ..schema.as_ref().clone() };
            self.shared.meta.put_schema(key, &frozen).await?;
        }
        let entry = self.shared.meta.set_stream_state(key, state).await?;
        self.put_entry(entry.clone());
        Ok(entry)
    }

    /// False when there was none.
    pub async fn drop_stream(&self, key: &StreamKey) -> Result<bool, RegistryError> {
        let _turn = self.shared.turn.lock().await;
        let existed = self.shared.meta.drop_stream(key).await?;
        let mut names = self.shared.names.write();
        let stream = names.tenants.get_mut(&key.tenant).and_then(|tenant| tenant.streams.remove(&key.name));
        if let Some(stream) = stream {
            names.by_id.remove(&stream.id);
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
        drop(names);
        self.changed();
        Ok(existed)
    }

    /// Registers the device, or returns the one that exists already.
    pub async fn register_device(&self, device: NewDevice) -> Result<Arc<Device>, RegistryError> {
        self.ensure_tenant(&device.tenant).await?;
        let _turn = self.shared.turn.lock().await;
        let entry = self.shared.meta.register_device(device).await?;
        Ok(self.put_device(entry))
    }

    pub async fn set_device_state(
        &self,
        tenant: &TenantId,
        id: &DeviceId,
        state: Approval,
    ) -> Result<Arc<Device>, RegistryError> {
        let _turn = self.shared.turn.lock().await;
        let entry = self.shared.meta.set_device_state(tenant, id, state).await?;
        Ok(self.put_device(entry))
    }

    pub async fn set_device_site(
        &self,
        tenant: &TenantId,
        id: &DeviceId,
        site: Option<&SiteId>,
    ) -> Result<Arc<Device>, RegistryError> {
        let _turn = self.shared.turn.lock().await;
        let entry = self.shared.meta.set_device_site(tenant, id, site).await?;
        Ok(self.put_device(entry))
    }

    /// Grows the schema so that the payload fits, if it can. `seen` is the version that did not fit: when the schema has
    /// grown meanwhile, the message is simply tried again.
    pub(crate) async fn grow(&self, stream: &Stream, seen: u32, payload: &[u8]) -> Result<(), RegistryError> {
        let _turn = self.shared.turn.lock().await;
        let current = stream.schema();
        if current.version != seen {
            return Ok(());
        }
        // A rejection comes again when the message is decoded, and is dealt with there.
        if let Ok(Some(wider)) = current.widened_by(payload) {
            tracing::info!(stream = %stream.key, version = wider.version, "schema grows");
            let entry = self.shared.meta.put_schema(&stream.key, &wider).await?;
            self.put_entry(entry);
        }
        Ok(())
    }

    fn known(&self, key: &StreamKey) -> Result<Arc<Stream>, RegistryError> {
        let stream = self.stream(&key.tenant, key.name.as_str());
        stream.ok_or_else(|| RegistryError::NoStream { stream: key.clone() })
    }
}
