//! The certificate with which the hub shows itself: from files, or made by the hub under an authority of its own.
//!
//! ```text
//! DATA/tls/ca.pem      the hub's authority; give this one to devices
//! DATA/tls/ca.key      its key, mode 0600
//! DATA/tls/server.pem  certificate of the listeners, signed by it; renewed at start when names change or time runs out
//! DATA/tls/server.key  its key, mode 0600
//! DATA/tls/names       the names that are in it, one a line
//! ```

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use springhouse_api::Authorities;
use springhouse_identity::{Authority, AuthorityFiles, DeviceVerifier, Revoked};
use springhouse_model::{Clock, Sensitive, SystemClock};

use crate::config::{HostNames, Tls};
use crate::failure::Failure;

const DAY: Duration = Duration::from_secs(86_400);
/// The authority outlives the devices that were told about it.
const CA_DAYS: u32 = 3_650;
/// Some clients refuse server certificates that are valid for more than 398 days.
const SERVER_DAYS: u32 = 397;
const RENEW_AFTER_DAYS: u32 = 300;

/// Configurations of the two kinds of listeners.
pub struct ServerTls {
    pub mqtt: Arc<ServerConfig>,
    pub http: Arc<ServerConfig>,
    /// The hub is its own authority.
    pub has_own_authority: bool,
}

/// Reads or makes the certificate, and the authority by which devices get theirs; `names` are those under which the hub is reached.
pub fn load(settings: &Tls, dir: &Path, names: HostNames) -> anyhow::Result<(ServerTls, Authorities)> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Devices get their certificates from it whoever has signed the hub's own.
    let authority = authority(dir)?;
    let (certificate, key, has_own_authority) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone(), false),
        _ => {
            let (certificate, key) =
                own_certificate(dir, names, &authority).context("cannot make a certificate")?;
            (certificate, key, true)
        }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&certificate, &error))?;
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error))?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).context("the hub's authority cannot be used")?;
    let revoked = Arc::new(Revoked::default());
    let provider = Arc::new(ring::default_provider());
    let devices: Arc<dyn ClientCertVerifier> =
        Arc::new(DeviceVerifier::new(roots, Arc::clone(&revoked), provider)?);
    let config = |alpn: &[&[u8]]| {
        let devices = Some(Arc::clone(&devices));
        let mut config = springhouse_mqtt::tls_config(chain.clone(), key_der.clone_key(), devices)
            .map_err(|error| unusable(&certificate, &error))?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok::<_, Failure>(Arc::new(config))
    };
    let (mqtt, http) = (config(&[])?, config(&[b"http/1.1"])?);
    let authorities = Authorities { devices: authority, days: settings.device_days, revoked };
    Ok((ServerTls { mqtt, http, has_own_authority }, authorities))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!(
        "`{}` cannot be used for TLS: {error}\nhint: PEM files are expected",
        path.display()
    ))
}

/// The certificate that the hub made for itself, renewed when that is due.
fn own_certificate(
    dir: &Path,
    mut names: HostNames,
    authority: &Authority,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
    names.extend(machine_name());
    names.sort();
    names.dedup();
    let (certificate, key) = (dir.join("server.pem"), dir.join("server.key"));
    let wanted = names.join("\n");
    let same_names = fs::read_to_string(dir.join("names")).is_ok_and(|found| found == wanted);
    if same_names && key.is_file() && age(&certificate).is_some_and(|age| age < DAY * RENEW_AFTER_DAYS) {
        return Ok((certificate, key));
    }
    let own = authority.issue_server(names, SystemClock.now(), SERVER_DAYS)?;
    write_private(&key, own.key.expose())?;
    fs::write(&certificate, &own.chain)?;
    fs::write(dir.join("names"), wanted)?;
    tracing::info!(certificate = %certificate.display(), authority = %dir.join("ca.pem").display(), "made a certificate");
    Ok((certificate, key))
}

/// The hub's own authority, made at the first start.
fn authority(dir: &Path) -> anyhow::Result<Authority> {
    let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    let files = match fs::read_to_string(&key) {
        Ok(text) => AuthorityFiles {
            certificate: fs::read_to_string(&certificate)
                .with_context(|| format!("cannot read `{}`", certificate.display()))?,
            key: Sensitive::new(text),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let files = AuthorityFiles::create(SystemClock.now(), CA_DAYS)?;
            // The key last: with it the authority is there.
            fs::write(&certificate, &files.certificate)?;
            write_private(&key, files.key.expose())?;
            files
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", key.display())),
    };
    Authority::open(&files).map_err(|error| unusable(&key, &error).into())
}

fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?.elapsed().ok()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    // Never a moment in which others may read it.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn machine_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    let is_plain =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    is_plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn settings(file: Option<PathBuf>) -> Tls {
        Tls { certificate: file.clone(), key: file, names: Vec::new(), device_days: 30 }
    }

    #[test]
    fn the_hub_makes_its_certificate_once_and_again_when_its_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(None);
        load(&settings, dir.path(), vec![]).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let (first, authority) = (read("server.pem"), read("ca.pem"));
        load(&settings, dir.path(), vec![]).unwrap();
        assert_eq!(first, read("server.pem"));
        load(&settings, dir.path(), vec!["hub.example".into()]).unwrap();
        assert_ne!(first, read("server.pem"));
        assert_eq!(authority, read("ca.pem"));
        for key in ["server.key", "ca.key"] {
            let mode = fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn files_that_are_no_certificates_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pem");
        fs::write(&file, "no").unwrap();
        let settings = settings(Some(file));
        let error = load(&settings, dir.path(), vec![]).err().unwrap().to_string();
        assert!(error.contains("x.pem") && error.contains("hint: PEM"), "{error}");
    }
}
