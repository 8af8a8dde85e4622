//! Reference tables from other machines: what stands at the addresses that the owner has named, and nowhere else.
//!
//! No redirect is followed and no proxy asked: the request goes where the statement says, or nowhere. Each answer has a bound in
//! bytes and one in time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use springhouse_engine::tables::{Fetch, FetchError, without_query};
use springhouse_model::Sensitive;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::TableAddress;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Where Debian, and with a link most others, keep the authorities that a machine trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

#[derive(Debug)]
struct Fetcher {
    allowed: Vec<Allowed>,
    agent: ureq::Agent,
    connections: AtomicU64,
}

/// What lies below an address.
#[derive(Debug)]
struct Allowed {
    below: Uri,
    token_file: Option<PathBuf>,
}

/// `None` when the owner has named no address: then there is nothing that could connect.
pub(super) fn fetcher(
    addresses: &[TableAddress],
    ca_file: Option<&PathBuf>,
) -> anyhow::Result<Option<Arc<dyn Fetch>>> {
    if addresses.is_empty() {
        return Ok(None);
    }
    let allowed = addresses.iter().map(|address| {
        let below = uri(&address.url).map_err(|why| anyhow::anyhow!("`{}` {why}", address.url))?;
        Ok(Allowed { below, token_file: address.token_file.clone() })
    });
    let allowed = allowed.collect::<anyhow::Result<Vec<_>>>().context("`tables.addresses`")?;
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(authorities(ca_file)?)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(ANSWER_TIMEOUT))
        .user_agent(concat!("springhouse/", env!("CARGO_PKG_VERSION")))
        .proxy(None)
        .tls_config(tls)
        .build()
        .new_agent();
    Ok(Some(Arc::new(Fetcher { allowed, agent, connections: AtomicU64::new(0) })))
}

impl Fetcher {
    /// What is allowed below which the address lies.
    fn judge(&self, address: &str, uri: &Uri) -> Result<&Allowed, FetchError> {
        let found = self.allowed.iter().find(|allowed| allowed.holds(uri));
        found.ok_or_else(|| {
            let named: Vec<String> = self.allowed.iter().map(|one| format!("`{}`", one.below)).collect();
            let hint = format!("`tables.addresses` names {}", named.join(", "));
            refused(address, "is none of the addresses that tables may be read from", hint)
        })
    }
}

impl Fetch for Fetcher {
    fn fetch(&self, address: &str, bytes_max: usize) -> Result<Bytes, FetchError> {
        let shown = without_query(address);
        let failed = |why: String| FetchError::Failed { address: shown.to_owned(), why };
        let uri = uri(address)
            .map_err(|why| refused(address, why, "https://tariffs.example.org/today.csv".to_owned()))?;
        let allowed = self.judge(address, &uri)?;
        let token = allowed.token().map_err(failed)?;
        let mut request = self.agent.get(uri);
        if let Some(token) = &token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        let answer = request.call().map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        if status.is_redirection() {
            let to = answer.headers().get("Location").and_then(|to| to.to_str().ok());
            let to = to.map_or("elsewhere", without_query);
            return Err(failed(format!("it sends on to `{to}`; hint: name that address")));
        }
        // Others that mean success bring a part (206) or nothing (204).
        if status.as_u16() != 200 {
            return Err(failed(format!("the answer is {status}")));
        }
        let limit = bytes_max as u64 + 1;
        let body = answer.into_body().into_with_config().limit(limit).read_to_vec();
        match body {
            Ok(body) if body.trim_ascii().is_empty() => Err(failed(
                "the answer is empty; hint: a table without rows is `[]`, or the header of a CSV".to_owned(),
            )),
            Ok(body) => Ok(body.into()),
            Err(ureq::Error::BodyExceedsLimit(_)) => Err(failed(format!(
                "it has more than {bytes_max} bytes; hint: `tables.bytes_max` allows more"
            ))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Allowed {
    fn holds(&self, uri: &Uri) -> bool {
        let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
        let below = self.below.path();
        let is_below = match uri.path().strip_prefix(below) {
            Some(rest) => rest.is_empty() || below.ends_with('/') || rest.starts_with('/'),
            None => false,
        };
        is_below
            && self.below.scheme() == uri.scheme()
            && host(&self.below) == host(uri)
            && port(&self.below) == port(uri)
    }

    /// Read each time: whoever renews it need not restart the hub.
    fn token(&self) -> Result<Option<Sensitive<String>>, String> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = Sensitive::new(
            std::fs::read_to_string(path)
                .map_err(|error| format!("its token `{}` cannot be read: {error}", path.display()))?,
        );
        match text.expose().trim() {
            token if token.is_empty() || token.contains(char::is_control) => {
                Err(format!("its token `{}` is not one line of text", path.display()))
            }
            token => Ok(Some(Sensitive::new(token.to_owned()))),
        }
    }
}

fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or(match uri.scheme_str() {
        Some("https") => Some(443),
        _ => Some(80),
    })
}

/// An address without what could lead elsewhere than it says.
fn uri(address: &str) -> Result<Uri, &'static str> {
    let uri: Uri = address.parse().map_err(|_| "is no address")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err("is no address of http:// or https://");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("holds a password, which everybody would see who may see the statement");
    }
    let path = uri.path().to_ascii_lowercase().replace("%2e", ".");
    let leads_up =
        path.split(['/', '\\']).any(|part| part == "..") || path.contains("%2f") || path.contains("%5c");
    if leads_up { Err("has a path that leads up") } else { Ok(uri) }
}

fn refused(address: &str, why: &'static str, hint: String) -> FetchError {
    FetchError::Refused { address: without_query(address).to_owned(), why, hint }
}

/// Those that the owner names, or those that the machine trusts; none, if it has no list of them.
fn authorities(ca_file: Option<&PathBuf>) -> anyhow::Result<Vec<Certificate<'static>>> {
    let system = PathBuf::from(SYSTEM_AUTHORITIES);
    let path = match ca_file {
        Some(path) => path,
        None if !system.exists() => return Ok(Vec::new()),
        None => &system,
    };
    let problem = || format!("`tables.ca_file`: cannot read the authorities in `{}`", path.display());
    let found = CertificateDer::pem_file_iter(path).with_context(problem)?;
    let found = found.collect::<Result<Vec<_>, _>>().with_context(problem)?;
    Ok(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(below: &str, address: &str) -> bool {
        let allowed = Allowed { below: uri(below).unwrap(), token_file: None };
        uri(address).is_ok_and(|uri| allowed.holds(&uri))
    }

    #[test]
    fn only_what_lies_below_an_address_is_allowed() {
        for address in [
            "https://erp.example/api",
            "https://erp.example/api/rooms.csv",
            "https://ERP.example:443/api/rooms?key=1",
        ] {
            assert!(allows("https://erp.example/api", address), "{address}");
        }
        for address in [
            "http://erp.example/api",
            "https://erp.example:8443/api",
            "https://erp.example/apis",
            "https://erp.example/",
            "https://erp.example.evil/api",
            "https://erp.example@evil.example/api",
            "https://evil.example/?https://erp.example/api",
            "https://erp.example/api/../admin",
            "https://erp.example/api/%2E%2e/admin",
            "https://erp.example/api/%2e%2e%2fadmin",
            "ftp://erp.example/api",
        ] {
            assert!(!allows("https://erp.example/api", address), "{address}");
        }
        assert!(allows("https://erp.example", "https://erp.example/any/where.json"));
        assert!(allows("https://erp.example/api/", "https://erp.example/api/rooms.csv"));
        assert!(!allows("https://erp.example/api/", "https://erp.example/api"));
    }
}
