//! Whose certificate was shown.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::{CertificateName, IdentityError, Serial};

/// What a certificate says of its holder. That it is one of ours is for the handshake to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub name: CertificateName,
    pub serial: Serial,
}

impl Shown {
    /// Reads a certificate, DER. It names one device and no other.
    pub fn read(certificate: &[u8]) -> Result<Shown, IdentityError> {
        let der = CertificateDer::from(certificate);
        let parsed = EndEntityCert::try_from(&der).map_err(|_| IdentityError::NotADevice)?;
        let serial = Serial::from_der(parsed.serial()).ok_or(IdentityError::NotADevice)?;
        let mut names = parsed.valid_uri_names();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(Shown { name: name.parse()?, serial }),
            _ => Err(IdentityError::NotADevice),
        }
    }
}
