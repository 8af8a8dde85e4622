//! Serial numbers of certificates.

use std::fmt;
use std::str::FromStr;

use crate::IdentityError;

const BYTES: usize = 16;

/// 127 random bits: nobody can say which comes next, and none comes twice (RFC 5280, section 4.1.2.2, wants at most 20 bytes
/// and a positive number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial([u8; BYTES]);

impl Serial {
    pub fn random() -> Result<Serial, IdentityError> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| IdentityError::Random { why: error.to_string() })?;
        // Positive, and of one length: the first of 127 bits is set.
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Ok(Serial(bytes))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it stands in a certificate; `None` when no certificate of ours has it.
    pub fn from_der(bytes: &[u8]) -> Option<Serial> {
        bytes.try_into().ok().map(Serial)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Serial {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Serial, IdentityError> {
        let digits = text.as_bytes();
        let byte = |at: usize| {
            let digits = std::str::from_utf8(digits.get(2 * at..2 * at + 2)?).ok()?;
            // A sign would be read as a number too.
            u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
        };
        let bytes: Option<Vec<u8>> = (0..BYTES).map(byte).collect();
        let is_whole = digits.len() == 2 * BYTES;
        bytes.filter(|_| is_whole).and_then(|bytes| Serial::from_der(&bytes)).ok_or(IdentityError::NotADevice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_positive_and_is_read_as_it_is_written() {
        for _ in 0..100 {
            let serial = Serial::random().unwrap();
            assert!((0x40..0x80).contains(&serial.as_bytes()[0]));
            assert_eq!(serial.to_string().parse::<Serial>().unwrap(), serial);
        }
        for bad in ["", "00", "+1020304050607080910111213141516", &"g".repeat(32), &"0".repeat(34), "ä"] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }
}
