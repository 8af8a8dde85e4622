//! Requests for certificates (PKCS #10, RFC 2986).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{PublicKeyData, SignatureAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateSigningRequestDer, SignatureVerificationAlgorithm};
use webpki::ring;

use crate::IdentityError;
use crate::der::{BIT_STRING, Reader, SEQUENCE};

/// Kinds of keys and signatures, and how rcgen calls a key of that kind.
type Kind = (&'static dyn SignatureVerificationAlgorithm, &'static SignatureAlgorithm);

/// Those that a handshake takes. RSA keys have 2048 to 8192 bits, which the check of the signature sees to.
static KINDS: [Kind; 8] = [
    (ring::ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
    (ring::ECDSA_P256_SHA384, &rcgen::PKCS_ECDSA_P256_SHA256),
    (ring::ECDSA_P384_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384),
    (ring::ECDSA_P384_SHA384, &rcgen::PKCS_ECDSA_P384_SHA384),
    (ring::ED25519, &rcgen::PKCS_ED25519),
    (ring::RSA_PKCS1_2048_8192_SHA256, &rcgen::PKCS_RSA_SHA256),
    (ring::RSA_PKCS1_2048_8192_SHA384, &rcgen::PKCS_RSA_SHA256),
    (ring::RSA_PKCS1_2048_8192_SHA512, &rcgen::PKCS_RSA_SHA256),
];

/// A key, and the proof that whoever sent it has the other half. Subject, extensions and attributes are not kept: what stands in
/// a certificate is not for its owner to say.
#[derive(Debug)]
pub struct Request {
    kind: &'static SignatureAlgorithm,
    key: Vec<u8>,
}

impl PublicKeyData for Request {
    fn der_bytes(&self) -> &[u8] {
        &self.key
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.kind
    }
}

impl Request {
    /// Reads DER, base64 of it with or without line breaks (as EST sends it, RFC 8951), or PEM.
    pub fn read(bytes: &[u8]) -> Result<Request, IdentityError> {
        if bytes.first() == Some(&SEQUENCE) {
            return Request::from_der(bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| no_request("it is neither DER nor text"))?;
        if text.contains("-----BEGIN") {
            let der = CertificateSigningRequestDer::from_pem_slice(bytes);
            let der = der.map_err(|_| no_request("the PEM holds no CERTIFICATE REQUEST"))?;
            return Request::from_der(&der);
        }
        let plain: String = text.split_ascii_whitespace().collect();
        let der = STANDARD.decode(plain).map_err(|_| no_request("it is not base64"))?;
        Request::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Request, IdentityError> {
        let Parts { signed, key_kind, key, signature_kind, signature } =
            Parts::of(der).ok_or_else(|| no_request("its DER cannot be read"))?;
        let same_key = |kind: &&Kind| kind.0.public_key_alg_id().as_ref() == key_kind;
        if !KINDS.iter().any(|kind| same_key(&kind)) {
            return Err(IdentityError::Key);
        }
        let signs_so = |kind: &&Kind| kind.0.signature_alg_id().as_ref() == signature_kind;
        let (check, kind) = KINDS.iter().filter(same_key).find(signs_so).ok_or(IdentityError::Signature)?;
        check.verify_signature(key, signed, signature).map_err(|_| IdentityError::Signature)?;
        Ok(Request { kind, key: key.to_vec() })
    }
}

/// What of a request matters.
struct Parts<'a> {
    /// What the signature is over.
    signed: &'a [u8],
    /// The contents of the key's AlgorithmIdentifier.
    key_kind: &'a [u8],
    key: &'a [u8],
    signature_kind: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// `CertificationRequest` of RFC 2986, section 4, with `SubjectPublicKeyInfo` of RFC 5280, section 4.1.
    fn of(der: &'a [u8]) -> Option<Parts<'a>> {
        let mut outside = Reader(der);
        let mut request = outside.inside(SEQUENCE)?;
        let before = request.0;
        let mut info = request.inside(SEQUENCE)?;
        let signed = &before[..before.len() - request.0.len()];
        // Version and subject.
        info.any()?;
        info.any()?;
        let mut key_info = info.inside(SEQUENCE)?;
        let key_kind = key_info.inside(SEQUENCE)?.0;
        let key = key_info.whole_bytes(BIT_STRING)?;
        let signature_kind = request.inside(SEQUENCE)?.0;
        let signature = request.whole_bytes(BIT_STRING)?;
        let is_all = outside.0.is_empty() && request.0.is_empty() && key_info.0.is_empty();
        is_all.then_some(Parts { signed, key_kind, key, signature_kind, signature })
    }
}

fn no_request(why: &str) -> IdentityError {
    IdentityError::Request { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::new(vec!["evil.example".to_owned()])
            .unwrap()
            .serialize_request(key)
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn a_request_is_read_in_each_of_its_forms() {
        for key in [
            KeyPair::generate().unwrap(),
            KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        ] {
            let der = request(&key);
            let base64 = STANDARD.encode(&der);
            let lines: Vec<&str> =
                base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let pem = format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
                lines.join("\n")
            );
            for form in [der, base64.clone().into_bytes(), lines.join("\r\n").into_bytes(), pem.into_bytes()]
            {
                assert_eq!(Request::read(&form).unwrap().der_bytes(), key.public_key_raw());
            }
        }
    }

    #[test]
    fn who_has_not_the_other_half_of_the_key_gets_nothing() {
        let der = request(&KeyPair::generate().unwrap());
        let mut accepted = 0;
        for at in 0..der.len() {
            let mut forged = der.clone();
            forged[at] ^= 1;
            accepted += usize::from(Request::read(&forged).is_ok());
            assert!(Request::read(&der[..at]).is_err());
        }
        assert_eq!(accepted, 0);
    }
}
