//! Certificates as EST and most tools exchange them: a "certs-only" message of CMS, that is signed data without data and without
//! signatures (RFC 5652 section 5.1, RFC 7030 section 4.1.3).

use rustls::pki_types::CertificateDer;

use crate::der::{SEQUENCE, element};

const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;
/// INTEGER 1.
const VERSION: &[u8] = &[0x02, 0x01, 0x01];
/// OBJECT IDENTIFIER 1.2.840.113549.1.7.2, signed data.
const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// OBJECT IDENTIFIER 1.2.840.113549.1.7.1, data.
const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// The message, DER.
pub fn certs_only(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut certificates: Vec<&[u8]> = certificates.iter().map(AsRef::as_ref).collect();
    // The elements of a SET OF stand in the order of their bytes (X.690, section 11.6).
    certificates.sort_unstable();
    let signed_data = [
        VERSION,
        &element(SET, &[]),
        &element(SEQUENCE, &[DATA]),
        &element(CONTEXT_0, &certificates),
        &element(SET, &[]),
    ];
    element(SEQUENCE, &[SIGNED_DATA, &element(CONTEXT_0, &[&element(SEQUENCE, &signed_data)])])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The structure, byte by byte, for one "certificate" of two bytes.
    #[test]
    fn the_message_is_signed_data_without_data() {
        let message = certs_only(&[CertificateDer::from(vec![0x05, 0x00])]);
        let expected = [
            &[0x30, 0x27][..],
            SIGNED_DATA,
            &[0xa0, 0x1a, 0x30, 0x18],
            VERSION,
            &[0x31, 0x00, 0x30, 0x0b],
            DATA,
            &[0xa0, 0x02, 0x05, 0x00, 0x31, 0x00],
        ];
        assert_eq!(message, expected.concat());
    }
}
