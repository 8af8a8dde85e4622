//! Who a device is, by X.509 certificate (RFC 5280): the authority that signs them, what stands in one, which are revoked,
//! and the check of a TLS handshake.
//!
//! ```text
//!  request (PKCS #10) ─▶ Authority ─▶ certificate: urn:springhouse:<tenant>:<site>:<device>, serial, a month
//!  TLS handshake ─▶ DeviceVerifier: chain, time, purpose, not revoked ─▶ Shown: whose certificate it was
//! ```
//! What a request asks for is not looked at: of it counts the key, and that its sender has the other half. No IO here but random
//! numbers; who may have a certificate is decided elsewhere.

mod authority;
mod der;
mod error;
mod name;
mod pkcs7;
mod request;
mod revoked;
mod serial;
mod shown;
mod verifier;

pub use authority::{Authority, AuthorityFiles, Issued, ServerFiles};
pub use error::IdentityError;
pub use name::CertificateName;
pub use pkcs7::certs_only;
pub use request::Request;
pub use revoked::Revoked;
pub use serial::Serial;
pub use shown::Shown;
pub use verifier::DeviceVerifier;
