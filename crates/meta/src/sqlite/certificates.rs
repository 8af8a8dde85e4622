//! Certificates in SQLite.

use std::collections::HashSet;

use async_trait::async_trait;
use springhouse_model::{DeviceId, Sensitive, TenantId, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::rows::Columns;
use super::{Durability, SqliteMeta, database};
use crate::secrets::{digest, digests_are_equal, random_id, random_secret};
use crate::{CLAIM_PREFIX, CertificateEntry, Certificates, NewCertificate, Result};

/// Far below what a statement may have of parameters.
const ASKED_AT_ONCE: usize = 500;

#[async_trait]
impl Certificates for SqliteMeta {
    async fn add_certificate(&self, new: NewCertificate) -> Result<CertificateEntry> {
        let issued_at = self.now();
        let mut write = self.write(Durability::Full).await?;
        sqlx::query(
            "INSERT INTO certificates (serial, tenant, device, not_before, not_after, issued_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&new.serial)
        .bind(new.tenant.as_str())
        .bind(new.device.as_str())
        .bind(new.not_before.micros())
        .bind(new.not_after.micros())
        .bind(issued_at.micros())
        .execute(write.sql())
        .await
        .map_err(database("write down a certificate"))?;
        write.commit().await?;
        let NewCertificate { serial, tenant, device, not_before, not_after } = new;
        Ok(CertificateEntry { serial, tenant, device, not_before, not_after, issued_at, revoked_at: None })
    }

    async fn certificate(&self, serial: &str) -> Result<Option<CertificateEntry>> {
        let row = sqlx::query("SELECT * FROM certificates WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&self.readers)
            .await
            .map_err(database("look up a certificate"))?;
        row.as_ref().map(certificate).transpose()
    }

    async fn certificates(&self, tenant: &TenantId, device: &DeviceId) -> Result<Vec<CertificateEntry>> {
        sqlx::query(
            "SELECT * FROM certificates WHERE tenant = $1 AND device = $2 ORDER BY issued_at DESC, serial",
        )
        .bind(tenant.as_str())
        .bind(device.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(database("list certificates"))?
        .iter()
        .map(certificate)
        .collect()
    }

    async fn revoke_certificates(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        only: Option<&str>,
    ) -> Result<Vec<String>> {
        let doing = "revoke certificates";
        let mut write = self.write(Durability::Full).await?;
        let rows = sqlx::query(
            "UPDATE certificates SET revoked_at = $4
             WHERE tenant = $1 AND device = $2 AND ($3 IS NULL OR serial = $3) AND revoked_at IS NULL AND not_after > $4
             RETURNING serial",
        )
        .bind(tenant.as_str())
        .bind(device.as_str())
        .bind(only)
        .bind(self.now().micros())
        .fetch_all(write.sql())
        .await
        .map_err(database(doing))?;
        write.commit().await?;
        rows.iter().map(|row| row.try_get("serial").map_err(database(doing))).collect()
    }

    async fn revoked_certificates(&self) -> Result<HashSet<String>> {
        let doing = "list revoked certificates";
        let rows =
            sqlx::query("SELECT serial FROM certificates WHERE revoked_at IS NOT NULL AND not_after > $1")
                .bind(self.now().micros())
                .fetch_all(&self.readers)
                .await
                .map_err(database(doing))?;
        rows.iter().map(|row| row.try_get("serial").map_err(database(doing))).collect()
    }

    async fn valid_certificates(&self, serials: &[String]) -> Result<HashSet<String>> {
        let doing = "look up certificates";
        let mut valid = HashSet::new();
        for some in serials.chunks(ASKED_AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT serial FROM certificates WHERE serial IN (");
            let mut list = query.separated(", ");
            for serial in some {
                list.push_bind(serial);
            }
            query.push(") AND revoked_at IS NULL AND not_after > ").push_bind(self.now().micros());
            let rows = query.build().fetch_all(&self.readers).await.map_err(database(doing))?;
            for row in rows {
                valid.insert(row.try_get("serial").map_err(database(doing))?);
            }
        }
        Ok(valid)
    }

    async fn create_claim(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        expires_at: Timestamp,
    ) -> Result<Sensitive<String>> {
        let doing = "create a claim";
        let (id, secret) = (random_id()?, random_secret()?);
        let mut write = self.write(Durability::Full).await?;
        sqlx::query("DELETE FROM claims WHERE (tenant = $1 AND device = $2) OR expires_at <= $3")
            .bind(tenant.as_str())
            .bind(device.as_str())
            .bind(self.now().micros())
            .execute(write.sql())
            .await
            .map_err(database(doing))?;
        sqlx::query(
            "INSERT INTO claims (id, tenant, device, digest, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&id)
        .bind(tenant.as_str())
        .bind(device.as_str())
        .bind(digest(secret.expose()))
        .bind(expires_at.micros())
        .execute(write.sql())
        .await
        .map_err(database(doing))?;
        write.commit().await?;
        Ok(Sensitive::new(format!("{CLAIM_PREFIX}{id}_{}", secret.expose())))
    }

    async fn take_claim(&self, text: &str) -> Result<Option<(TenantId, DeviceId)>> {
        let Some((id, secret)) = text.strip_prefix(CLAIM_PREFIX).and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let doing = "use a claim";
        let mut write = self.write(Durability::Full).await?;
        let row = sqlx::query("SELECT * FROM claims WHERE id = $1 AND expires_at > $2")
            .bind(id)
            .bind(self.now().micros())
            .fetch_optional(write.sql())
            .await
            .map_err(database(doing))?;
        let stored = match &row {
            Some(row) => Columns { table: "claims", row }.bytes("digest")?,
            None => vec![0; 32],
        };
        let is_right = digests_are_equal(&digest(secret), &stored);
        let Some(row) = row.filter(|_| is_right) else { return Ok(None) };
        sqlx::query("DELETE FROM claims WHERE id = $1")
            .bind(id)
            .execute(write.sql())
            .await
            .map_err(database(doing))?;
        write.commit().await?;
        let columns = Columns { table: "claims", row: &row };
        Ok(Some((columns.word("tenant")?, columns.word("device")?)))
    }
}

fn certificate(row: &SqliteRow) -> Result<CertificateEntry> {
    let columns = Columns { table: "certificates", row };
    Ok(CertificateEntry {
        serial: columns.text("serial")?,
        tenant: columns.word("tenant")?,
        device: columns.word("device")?,
        not_before: columns.time("not_before")?,
        not_after: columns.time("not_after")?,
        issued_at: columns.time("issued_at")?,
        revoked_at: columns.time_if("revoked_at")?,
    })
}
