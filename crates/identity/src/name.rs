//! What a certificate says of its device.

use std::fmt::{self, Write};
use std::str::FromStr;

use springhouse_model::{DeviceId, SiteId, TenantId};

use crate::IdentityError;

const PREFIX: &str = "urn:springhouse:";

/// A device of a tenant, as the URI of the subject alternative name (RFC 5280, section 4.2.1.6):
/// `urn:springhouse:<tenant>:<site>:<device>`, the site empty when there was none. What is not a letter, a digit or one of `-._~`
/// is percent-encoded (RFC 3986, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateName {
    pub tenant: TenantId,
    /// Where the device was when it got the certificate.
    pub site: Option<SiteId>,
    pub device: DeviceId,
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        encode(f, self.tenant.as_str())?;
        f.write_char(':')?;
        encode(f, self.site.as_ref().map_or("", SiteId::as_str))?;
        f.write_char(':')?;
        encode(f, self.device.as_str())
    }
}

impl FromStr for CertificateName {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<CertificateName, IdentityError> {
        let parts =
            text.strip_prefix(PREFIX).map(|rest| rest.split(':').map(decode).collect::<Option<Vec<_>>>());
        let Some(Some(parts)) = parts else { return Err(IdentityError::NotADevice) };
        let [tenant, site, device] = parts.as_slice() else { return Err(IdentityError::NotADevice) };
        let not_a_device = |_| IdentityError::NotADevice;
        let site = match site.is_empty() {
            true => None,
            false => Some(site.parse().map_err(not_a_device)?),
        };
        Ok(CertificateName {
            tenant: tenant.parse().map_err(not_a_device)?,
            site,
            device: device.parse().map_err(not_a_device)?,
        })
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.bytes().try_for_each(|byte| match is_plain(byte) {
        true => f.write_char(char::from(byte)),
        false => write!(f, "%{byte:02X}"),
    })
}

/// Only what [`encode`] gives: two texts are not one name.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if is_plain(*first) {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).filter(|_| *first == b'%')?;
        let is_written_so = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_written_so)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| !is_plain(*byte))?;
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(tenant: &str, site: Option<&str>, device: &str) -> CertificateName {
        CertificateName {
            tenant: tenant.parse().unwrap(),
            site: site.map(|site| site.parse().unwrap()),
            device: device.parse().unwrap(),
        }
    }

    #[test]
    fn a_name_is_a_uri() {
        assert_eq!(name("main", None, "lamp-1").to_string(), "urn:springhouse:main::lamp-1");
        let odd = name("acme", Some("a:b"), "Küche 1");
        assert_eq!(odd.to_string(), "urn:springhouse:acme:a%3Ab:K%C3%BCche%201");
    }

    #[test]
    fn what_is_not_written_so_is_no_name() {
        for bad in [
            "",
            "urn:springhouse:main:lamp-1",
            "urn:springhouse:main::",
            "urn:springhouse:main::a:b",
            "urn:springhouse:main::a%3ab",
            "urn:springhouse:main::%61",
            "urn:springhouse:main::a%2Fb",
            "urn:springhouse:main::a b",
            "urn:springhouse:main::%",
            "urn:springhouse:main::%C3",
            "URN:springhouse:main::a",
        ] {
            assert!(bad.parse::<CertificateName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_was_written(tenant in "\\PC{1,20}", site in proptest::option::of("\\PC{1,20}"), device in "\\PC{1,40}") {
            let (Ok(tenant), Ok(device)) = (tenant.parse(), device.parse()) else { return Ok(()) };
            let Ok(site) = site.map(|site| site.parse()).transpose() else { return Ok(()) };
            let name = CertificateName { tenant, site, device };
            let text = name.to_string();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(text.parse::<CertificateName>().unwrap(), name);
        }
    }
}
