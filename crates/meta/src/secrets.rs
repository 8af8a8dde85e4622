//! Random secrets and passwords: made, hashed and compared.
//!
//! Tokens, sessions and links are 256 random bits, for which one SHA-256 is enough: there is nothing to guess.
//! Passwords are chosen by people and get Argon2id with the parameters OWASP recommends (19 MiB, 2 passes, 1 lane;
//! Password Storage Cheat Sheet).

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use springhouse_model::Sensitive;
use subtle::ConstantTimeEq;

use crate::{MetaError, Result};

/// NIST SP 800-63B-4 asks for 15 where a password stands alone and 8 beside a second factor; sign-in is also limited in rate.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Bounds the work of hashing; a passphrase of thirty words fits.
pub const PASSWORD_CHARACTERS_MAX: usize = 256;

/// Why a password was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error(
        "the password has {characters} characters, at least {PASSWORD_CHARACTERS_MIN} are needed; \
         hint: a few words in a row are easy to remember"
    )]
    TooShort { characters: usize },
    #[error("the password has {characters} characters, at most {PASSWORD_CHARACTERS_MAX} are allowed")]
    TooLong { characters: usize },
    #[error("the password is one character repeated")]
    Monotonous,
}

/// Whether a password may be chosen; length is what counts, composition rules are not asked for (NIST SP 800-63B §3.1.1).
pub fn check_password(password: &Sensitive<String>) -> std::result::Result<(), PasswordError> {
    let characters = password.expose().chars().count();
    if characters < PASSWORD_CHARACTERS_MIN {
        return Err(PasswordError::TooShort { characters });
    }
    if characters > PASSWORD_CHARACTERS_MAX {
        return Err(PasswordError::TooLong { characters });
    }
    let first = password.expose().chars().next();
    match password.expose().chars().all(|c| Some(c) == first) {
        true => Err(PasswordError::Monotonous),
        false => Ok(()),
    }
}

/// 256 random bits as 43 characters that fit into a URL, a header and a cookie.
pub(crate) fn random_secret() -> Result<Sensitive<String>> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    Ok(Sensitive::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// A public identifier of 16 hexadecimal digits.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0_u8; 8];
    fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|source| MetaError::Environment {
        doing: "draw random bytes",
        source: source.to_string().into(),
    })
}

/// What is stored of a secret.
pub(crate) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Compares in time that depends on the length alone.
pub(crate) fn digests_are_equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// Hashes on a thread of its own, since it takes tens of milliseconds.
pub(crate) async fn hash_password(password: &Sensitive<String>) -> Result<String> {
    check_password(password)?;
    let password = password.clone();
    let salt = random_salt()?;
    let hashed = tokio::task::spawn_blocking(move || {
        hasher().hash_password(password.expose().as_bytes(), &salt).map(|hash| hash.to_string())
    });
    match hashed.await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(hashing_failed(error.to_string())),
        Err(error) => Err(hashing_failed(error.to_string())),
    }
}

/// Checks a password. Without a stored hash it does the same work in vain, so that the time does not tell which
/// names exist.
pub(crate) async fn password_matches(password: &Sensitive<String>, stored: Option<String>) -> Result<bool> {
    if password.expose().chars().count() > PASSWORD_CHARACTERS_MAX {
        return Ok(false);
    }
    let password = password.clone();
    let salt = random_salt()?;
    let verified = tokio::task::spawn_blocking(move || match stored {
        Some(text) => PasswordHash::new(&text)
            .and_then(|hash| hasher().verify_password(password.expose().as_bytes(), &hash))
            .is_ok(),
        None => {
            let _ = hasher().hash_password(password.expose().as_bytes(), &salt);
            false
        }
    });
    verified.await.map_err(|error| hashing_failed(error.to_string()))
}

fn random_salt() -> Result<SaltString> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    SaltString::encode_b64(&bytes).map_err(|error| hashing_failed(error.to_string()))
}

fn hasher() -> Argon2<'static> {
    const MEMORY_KIB: u32 = 19 * 1024;
    let params = Params::new(MEMORY_KIB, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hashing_failed(reason: String) -> MetaError {
    MetaError::Environment { doing: "hash the password", source: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_judged_by_length_in_characters() {
        let check = |text: &str| check_password(&Sensitive::new(text.to_owned()));
        assert_eq!(check("short"), Err(PasswordError::TooShort { characters: 5 }));
        assert_eq!(check("öäüßöäüßöäü"), Err(PasswordError::TooShort { characters: 11 }));
        assert_eq!(check("correct horse"), Ok(()));
        assert_eq!(check("aaaaaaaaaaaaaa"), Err(PasswordError::Monotonous));
        assert_eq!(check(&"ab".repeat(129)), Err(PasswordError::TooLong { characters: 258 }));
    }

    #[test]
    fn secrets_differ_and_have_43_characters() {
        let (one, two) = (random_secret().unwrap(), random_secret().unwrap());
        assert_eq!(one.expose().len(), 43);
        assert_ne!(one.expose(), two.expose());
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let right = Sensitive::new("correct horse battery".to_owned());
        let hash = hash_password(&right).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(password_matches(&right, Some(hash.clone())).await.unwrap());
        assert!(!password_matches(&Sensitive::new("wrong".into()), Some(hash)).await.unwrap());
        assert!(!password_matches(&right, None).await.unwrap());
    }
}
