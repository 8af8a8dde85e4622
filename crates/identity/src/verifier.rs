//! The check of client certificates in a TLS handshake.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use crate::{IdentityError, Revoked, Shown};

/// A certificate may be shown, and if it is, it has to be good: signed by the authority, of a device, in its time, for clients, and not
/// revoked. Without one the client has to say who it is in another way.
///
/// Connections that this lets in must not be resumed: a resumed session asks nobody.
#[derive(Debug)]
pub struct DeviceVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    revoked: Arc<Revoked>,
}

impl DeviceVerifier {
    pub fn new(
        authorities: RootCertStore,
        revoked: Arc<Revoked>,
        provider: Arc<CryptoProvider>,
    ) -> Result<DeviceVerifier, IdentityError> {
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| IdentityError::Authority { why: error.to_string() })?;
        Ok(DeviceVerifier { chain, revoked })
    }
}

impl ClientCertVerifier for DeviceVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let refused = |why| Error::InvalidCertificate(why);
        let shown =
            Shown::read(end_entity).map_err(|_| refused(CertificateError::ApplicationVerificationFailure))?;
        match self.revoked.contains(&shown.serial) {
            true => Err(refused(CertificateError::Revoked)),
            false => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
