//! Devices in SQLite.

use async_trait::async_trait;
use springhouse_model::{DeviceId, SiteId, TenantId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::rows::Columns;
use super::{Durability, SqliteMeta, database};
use crate::{Approval, Device, Devices, MetaError, NewDevice, Result, Seen};

const SELECT: &str = "SELECT tenant, id, site, state, created_at, last_seen FROM devices
                      WHERE tenant = $1 AND (id = $2 OR $2 IS NULL) ORDER BY id";

#[async_trait]
impl Devices for SqliteMeta {
    async fn devices(&self, tenant: &TenantId) -> Result<Vec<Device>> {
        sqlx::query(SELECT)
            .bind(tenant.as_str())
            .bind(None::<&str>)
            .fetch_all(&self.readers)
            .await
            .map_err(database("list devices"))?
            .iter()
            .map(device)
            .collect()
    }

    async fn device(&self, tenant: &TenantId, id: &DeviceId) -> Result<Option<Device>> {
        let mut reader = self.readers.acquire().await.map_err(database("look up a device"))?;
        find(&mut reader, tenant, id).await
    }

    async fn register_device(&self, new: NewDevice) -> Result<Device> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query(
            "INSERT INTO devices (tenant, id, site, state, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant, id) DO UPDATE SET site = coalesce(devices.site, excluded.site)",
        )
        .bind(new.tenant.as_str())
        .bind(new.id.as_str())
        .bind(new.site.as_ref().map(SiteId::as_str))
        .bind(new.state.as_str())
        .bind(self.now().micros())
        .execute(write.sql())
        .await
        .map_err(database("register a device"))?;
        let device = find_existing(write.sql(), &new.tenant, &new.id).await?;
        write.commit().await?;
        Ok(device)
    }

    async fn set_device_state(&self, tenant: &TenantId, id: &DeviceId, state: Approval) -> Result<Device> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("UPDATE devices SET state = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(id.as_str())
            .bind(state.as_str())
            .execute(write.sql())
            .await
            .map_err(database("change a device"))?;
        let device = find_existing(write.sql(), tenant, id).await?;
        write.commit().await?;
        Ok(device)
    }

    async fn set_device_site(
        &self,
        tenant: &TenantId,
        id: &DeviceId,
        site: Option<&SiteId>,
    ) -> Result<Device> {
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("UPDATE devices SET site = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(id.as_str())
            .bind(site.map(SiteId::as_str))
            .execute(write.sql())
            .await
            .map_err(database("change a device"))?;
        let device = find_existing(write.sql(), tenant, id).await?;
        write.commit().await?;
        Ok(device)
    }

    async fn touch_devices(&self, seen: &[Seen]) -> Result<()> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut write = self.write(Durability::Replayed).await?;
        for sign in seen {
            sqlx::query(
                "UPDATE devices SET last_seen = $3
                 WHERE tenant = $1 AND id = $2 AND (last_seen IS NULL OR last_seen < $3)",
            )
            .bind(sign.tenant.as_str())
            .bind(sign.device.as_str())
            .bind(sign.at.micros())
            .execute(write.sql())
            .await
            .map_err(database("note signs of life"))?;
        }
        write.commit().await
    }
}

async fn find(connection: &mut SqliteConnection, tenant: &TenantId, id: &DeviceId) -> Result<Option<Device>> {
    let row = sqlx::query(SELECT)
        .bind(tenant.as_str())
        .bind(Some(id.as_str()))
        .fetch_optional(connection)
        .await
        .map_err(database("look up a device"))?;
    row.as_ref().map(device).transpose()
}

async fn find_existing(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    id: &DeviceId,
) -> Result<Device> {
    let found = find(connection, tenant, id).await?;
    found.ok_or_else(|| MetaError::NotFound { kind: "device", name: id.to_string() })
}

fn device(row: &SqliteRow) -> Result<Device> {
    let columns = Columns { table: "devices", row };
    Ok(Device {
        tenant: columns.word("tenant")?,
        id: columns.word("id")?,
        site: columns.word_if("site")?,
        state: columns.word("state")?,
        created_at: columns.time("created_at")?,
        last_seen: columns.time_if("last_seen")?,
    })
}
