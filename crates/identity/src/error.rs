//! Why something is no identity.

use springhouse_model::ErrorClass;

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "this is no certificate request: {why}; hint: PKCS #10, as `openssl req -new` makes it, in DER, base64 or PEM"
    )]
    Request { why: String },
    #[error(
        "the certificate request is not signed with its own key, or not in a way that is known; hint: SHA-256, SHA-384 or SHA-512"
    )]
    Signature,
    #[error(
        "keys of this kind are not taken; hint: EC P-256 or P-384, Ed25519, or RSA with 2048 to 8192 bits"
    )]
    Key,
    #[error("this is no certificate of a device of this hub")]
    NotADevice,
    #[error("the authority cannot be used: {why}")]
    Authority { why: String },
    #[error("cannot draw random bytes: {why}")]
    Random { why: String },
}

impl IdentityError {
    pub fn class(&self) -> ErrorClass {
        match self {
            IdentityError::Request { .. }
            | IdentityError::Signature
            | IdentityError::Key
            | IdentityError::NotADevice => ErrorClass::User,
            IdentityError::Authority { .. } | IdentityError::Random { .. } => ErrorClass::Environment,
        }
    }
}
