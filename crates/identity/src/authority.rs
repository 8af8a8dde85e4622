//! The authority that signs the certificates of devices.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use springhouse_model::{Sensitive, Timestamp};

use crate::{CertificateName, IdentityError, Request, Serial};

const NAME: &str = "Springhouse hub authority";
const DAY: Duration = Duration::from_secs(86_400);
/// For devices whose clock is a little slow.
const BACKDATED: Duration = Duration::from_secs(3_600);
/// The longest common name (X.520, ub-common-name).
const COMMON_NAME_CHARACTERS: usize = 64;

/// What is kept of an authority.
#[derive(Debug)]
pub struct AuthorityFiles {
    /// PEM.
    pub certificate: String,
    /// PKCS #8 in PEM.
    pub key: Sensitive<String>,
}

#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// What a server shows itself with.
#[derive(Debug)]
pub struct ServerFiles {
    /// The certificate and that of the authority, PEM.
    pub chain: String,
    /// PKCS #8 in PEM.
    pub key: Sensitive<String>,
}

/// A certificate that was signed.
#[derive(Clone, Debug)]
pub struct Issued {
    pub serial: Serial,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub certificate: CertificateDer<'static>,
}

impl AuthorityFiles {
    /// Makes a new authority, valid for so many days.
    pub fn create(now: Timestamp, days: u32) -> Result<AuthorityFiles, IdentityError> {
        let key = KeyPair::generate().map_err(unusable)?;
        let mut params = params();
        valid_for(&mut params, now, days);
        let certificate = params.self_signed(&key).map_err(unusable)?.pem();
        Ok(AuthorityFiles { certificate, key: Sensitive::new(key.serialize_pem()) })
    }
}

impl Authority {
    pub fn open(files: &AuthorityFiles) -> Result<Authority, IdentityError> {
        let key = KeyPair::from_pem(files.key.expose()).map_err(unusable)?;
        let certificate = CertificateDer::from_pem_slice(files.certificate.as_bytes())
            .map_err(|error| IdentityError::Authority { why: error.to_string() })?;
        let anchor = webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|error| IdentityError::Authority { why: error.to_string() })?;
        // The anchor has it without the tag and the length around it.
        if !key.subject_public_key_info().ends_with(&anchor.subject_public_key_info) {
            let why = "its key is not that of its certificate".to_owned();
            return Err(IdentityError::Authority { why });
        }
        let issuer = Issuer::new(params(), key);
        Ok(Authority { issuer, certificate, pem: files.certificate.clone() })
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Makes a key and a certificate for a server with these names and addresses.
    pub fn issue_server(
        &self,
        names: Vec<String>,
        now: Timestamp,
        days: u32,
    ) -> Result<ServerFiles, IdentityError> {
        let key = KeyPair::generate().map_err(unusable)?;
        let mut params = CertificateParams::new(names).map_err(unusable)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Springhouse hub");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, now, days);
        let certificate = params.signed_by(&key, &self.issuer).map_err(unusable)?;
        let chain = certificate.pem() + &self.pem;
        Ok(ServerFiles { chain, key: Sensitive::new(key.serialize_pem()) })
    }

    /// Signs a certificate for the key of a request. Everything else in it is ours.
    pub fn issue(
        &self,
        request: &Request,
        name: &CertificateName,
        now: Timestamp,
        days: u32,
    ) -> Result<Issued, IdentityError> {
        let serial = Serial::random()?;
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        // For people; who it is stands in the alternative name.
        let common: String = name.device.as_str().chars().take(COMMON_NAME_CHARACTERS).collect();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = vec![SanType::URI(name.to_string().try_into().map_err(unusable)?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = valid_for(&mut params, now, days);
        let certificate = params.signed_by(request, &self.issuer).map_err(unusable)?;
        Ok(Issued { serial, not_before, not_after, certificate: certificate.into() })
    }
}

/// What an authority says of itself but for its time: its name has to be that in all that it signs.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Sets the time and returns it.
fn valid_for(params: &mut CertificateParams, now: Timestamp, days: u32) -> (Timestamp, Timestamp) {
    // Certificates know whole seconds.
    let now = Duration::from_secs(now.micros().max(0).unsigned_abs() / 1_000_000);
    let (from, until) = (now.saturating_sub(BACKDATED), now + DAY * days);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    (params.not_before, params.not_after) = (epoch + from, epoch + until);
    let time = |since: Duration| Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    (time(from), time(until))
}

fn unusable(error: rcgen::Error) -> IdentityError {
    IdentityError::Authority { why: error.to_string() }
}
