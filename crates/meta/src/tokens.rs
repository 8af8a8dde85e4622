//! API and device tokens. The text is shown once; what is kept is its SHA-256, which suffices for 256 random bits.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::Serialize;
use springhouse_model::{DeviceId, Sensitive, SiteId, TenantId, Timestamp};
use springhouse_policy::Scope;

use crate::Result;

/// How a token's text begins: `shk_<id>_<secret>`, so that scanners of leaked secrets can find it.
pub const TOKEN_PREFIX: &str = "shk_";

/// A token to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub tenant: TenantId,
    pub site: Option<SiteId>,
    pub name: String,
    pub scopes: Vec<Scope>,
    /// A device's own token; such a token speaks for this device alone.
    pub device: Option<DeviceId>,
    pub expires_at: Option<Timestamp>,
}

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenInfo {
    /// 16 hexadecimal digits; part of the text, not secret.
    pub id: String,
    pub tenant: TenantId,
    pub site: Option<SiteId>,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub device: Option<DeviceId>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

#[async_trait]
pub trait Tokens: Send + Sync {
    /// Creates a token and returns its text, which nobody can get again.
    async fn create_token(&self, token: NewToken) -> Result<(TokenInfo, Sensitive<String>)>;
    /// The token that this text is, unless it is unknown, revoked or expired. The comparison takes the same time
    /// whatever the text.
    async fn verify_token(&self, text: &str) -> Result<Option<TokenInfo>>;
    /// False when the tenant has no such token.
    async fn revoke_token(&self, tenant: &TenantId, id: &str) -> Result<bool>;
    /// Revokes the tokens of a device, but for `keep`; returns how many there were.
    async fn revoke_device_tokens(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        keep: Option<&str>,
    ) -> Result<u64>;
    /// The tokens of a tenant that are valid or expired but not revoked, oldest first.
    async fn tokens(&self, tenant: &TenantId) -> Result<Vec<TokenInfo>>;
    /// The ids of all tokens of all tenants that are neither revoked nor expired.
    async fn valid_tokens(&self) -> Result<HashSet<String>>;
}
