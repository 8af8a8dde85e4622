//! Certificates of devices: which ones there are, which were revoked, and the codes by which a device claims its first one.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::Serialize;
use springhouse_model::{DeviceId, Sensitive, TenantId, Timestamp};

use crate::Result;

/// How a claim's text begins: `shc_<id>_<secret>`.
pub const CLAIM_PREFIX: &str = "shc_";

/// A certificate that was signed.
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// 32 hexadecimal digits.
    pub serial: String,
    pub tenant: TenantId,
    pub device: DeviceId,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateEntry {
    pub serial: String,
    pub tenant: TenantId,
    pub device: DeviceId,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub issued_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

#[async_trait]
pub trait Certificates: Send + Sync {
    /// Writes a certificate down, before anybody gets it.
    async fn add_certificate(&self, certificate: NewCertificate) -> Result<CertificateEntry>;
    async fn certificate(&self, serial: &str) -> Result<Option<CertificateEntry>>;
    /// Those of a device, the newest first.
    async fn certificates(&self, tenant: &TenantId, device: &DeviceId) -> Result<Vec<CertificateEntry>>;
    /// Revokes the certificates of a device, or the one with this serial; returns the serials of those that were not revoked
    /// before and have not run out.
    async fn revoke_certificates(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        only: Option<&str>,
    ) -> Result<Vec<String>>;
    /// The serials of all certificates of all tenants that were revoked and have not run out.
    async fn revoked_certificates(&self) -> Result<HashSet<String>>;
    /// Of these serials, those of certificates that are neither revoked nor over.
    async fn valid_certificates(&self, serials: &[String]) -> Result<HashSet<String>>;
    /// Makes a code by which a device gets its first certificate, once; earlier ones of the device end. Returns its text, which
    /// nobody can get again.
    async fn create_claim(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        expires_at: Timestamp,
    ) -> Result<Sensitive<String>>;
    /// Uses a code up; whose it was, unless it is unknown, used or over. Of two who use it at once, one gets something.
    async fn take_claim(&self, text: &str) -> Result<Option<(TenantId, DeviceId)>>;
}
