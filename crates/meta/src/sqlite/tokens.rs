//! Tokens in SQLite.

use std::collections::HashSet;

use async_trait::async_trait;
use springhouse_model::{DeviceId, Sensitive, SiteId, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::rows::{Columns, to_json};
use super::{Durability, SqliteMeta, database};
use crate::secrets::{digest, digests_are_equal, random_id, random_secret};
use crate::{NewToken, Result, TOKEN_PREFIX, TokenInfo, Tokens};

#[async_trait]
impl Tokens for SqliteMeta {
    async fn create_token(&self, new: NewToken) -> Result<(TokenInfo, Sensitive<String>)> {
        let (id, secret) = (random_id()?, random_secret()?);
        let text = Sensitive::new(format!("{TOKEN_PREFIX}{id}_{}", secret.expose()));
        let info = TokenInfo {
            id,
            tenant: new.tenant,
            site: new.site,
            name: new.name,
            scopes: new.scopes,
            device: new.device,
            created_at: self.now(),
            expires_at: new.expires_at,
        };
        let mut write = self.write(Durability::Full).await?;
        sqlx::query(
            "INSERT INTO tokens (id, tenant, site, name, scopes, device, digest, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&info.id)
        .bind(info.tenant.as_str())
        .bind(info.site.as_ref().map(SiteId::as_str))
        .bind(&info.name)
        .bind(to_json(&info.scopes)?)
        .bind(info.device.as_ref().map(DeviceId::as_str))
        .bind(digest(secret.expose()))
        .bind(info.created_at.micros())
        .bind(info.expires_at.map(|time| time.micros()))
        .execute(write.sql())
        .await
        .map_err(database("create a token"))?;
        write.commit().await?;
        Ok((info, text))
    }

    async fn verify_token(&self, text: &str) -> Result<Option<TokenInfo>> {
        // The id is hexadecimal, hence the first `_` after the prefix ends it; the secret may contain more.
        let Some((id, secret)) = text.strip_prefix(TOKEN_PREFIX).and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT * FROM tokens WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(database("look up a token"))?;
        let stored = match &row {
            Some(row) => Columns { table: "tokens", row }.bytes("digest")?,
            None => vec![0; 32],
        };
        let is_right = digests_are_equal(&digest(secret), &stored);
        match row {
            Some(row) if is_right => {
                let token = token(&row)?;
                Ok(Some(token).filter(|token| token.expires_at.is_none_or(|end| self.now() < end)))
            }
            _ => Ok(None),
        }
    }

    async fn revoke_token(&self, tenant: &TenantId, id: &str) -> Result<bool> {
        let mut write = self.write(Durability::Full).await?;
        let gone = sqlx::query("DELETE FROM tokens WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(id)
            .execute(write.sql())
            .await
            .map_err(database("revoke a token"))?;
        write.commit().await?;
        Ok(gone.rows_affected() > 0)
    }

    async fn revoke_device_tokens(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        keep: Option<&str>,
    ) -> Result<u64> {
        let mut write = self.write(Durability::Full).await?;
        let gone =
            sqlx::query("DELETE FROM tokens WHERE tenant = $1 AND device = $2 AND ($3 IS NULL OR id <> $3)")
                .bind(tenant.as_str())
                .bind(device.as_str())
                .bind(keep)
                .execute(write.sql())
                .await
                .map_err(database("revoke the tokens of a device"))?;
        write.commit().await?;
        Ok(gone.rows_affected())
    }

    async fn tokens(&self, tenant: &TenantId) -> Result<Vec<TokenInfo>> {
        sqlx::query("SELECT * FROM tokens WHERE tenant = $1 ORDER BY created_at, id")
            .bind(tenant.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(database("list tokens"))?
            .iter()
            .map(token)
            .collect()
    }

    async fn valid_tokens(&self) -> Result<HashSet<String>> {
        let doing = "list valid tokens";
        let rows = sqlx::query("SELECT id FROM tokens WHERE expires_at IS NULL OR expires_at > $1")
            .bind(self.now().micros())
            .fetch_all(&self.readers)
            .await
            .map_err(database(doing))?;
        rows.iter().map(|row| row.try_get("id").map_err(database(doing))).collect()
    }
}

fn token(row: &SqliteRow) -> Result<TokenInfo> {
    let columns = Columns { table: "tokens", row };
    Ok(TokenInfo {
        id: columns.text("id")?,
        tenant: columns.word("tenant")?,
        site: columns.word_if("site")?,
        name: columns.text("name")?,
        scopes: columns.json("scopes")?,
        device: columns.word_if("device")?,
        created_at: columns.time("created_at")?,
        expires_at: columns.time_if("expires_at")?,
    })
}
