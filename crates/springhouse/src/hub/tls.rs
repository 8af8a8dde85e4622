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
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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

/// Reads or makes the certificate; `names` are those under which the hub is reached.
pub fn load(settings: &Tls, dir: &Path, names: HostNames) -> anyhow::Result<ServerTls> {
    let (certificate, key, has_own_authority) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone(), false),
        _ => {
            let (certificate, key) = own_certificate(dir, names).context("cannot make a certificate")?;
            (certificate, key, true)
        }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&certificate, &error))?;
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error))?;
    let mqtt = springhouse_mqtt::tls_config(chain.clone(), key_der.clone_key(), None)
        .map_err(|error| unusable(&certificate, &error))?;
    let mut http = config(chain, key_der, &certificate)?;
    http.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(ServerTls { mqtt: Arc::new(mqtt), http: Arc::new(http), has_own_authority })
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!(
        "`{}` cannot be used for TLS: {error}\nhint: PEM files are expected",
        path.display()
    ))
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &Path,
) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(path, &error).into())
}

/// The certificate that the hub made for itself, renewed when that is due.
fn own_certificate(dir: &Path, mut names: HostNames) -> anyhow::Result<(PathBuf, PathBuf)> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
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
    let authority = authority(dir)?;
    let own_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Springhouse hub");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, SERVER_DAYS);
    let own = params.signed_by(&own_key, &authority)?;
    write_private(&key, &own_key.serialize_pem())?;
    let authority_pem = fs::read_to_string(dir.join("ca.pem"))?;
    fs::write(&certificate, own.pem() + &authority_pem)?;
    fs::write(dir.join("names"), wanted)?;
    tracing::info!(certificate = %certificate.display(), authority = %dir.join("ca.pem").display(), "made a certificate");
    Ok((certificate, key))
}

/// The hub's own authority: its key is read or made; its certificate follows from the key.
fn authority(dir: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let path = dir.join("ca.key");
    let key = match fs::read_to_string(&path) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(|error| unusable(&path, &error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = KeyPair::generate()?;
            fs::write(dir.join("ca.pem"), authority_params()?.self_signed(&key)?.pem())?;
            write_private(&path, &key.serialize_pem())?;
            key
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    };
    Ok(Issuer::new(authority_params()?, key))
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, "Springhouse hub authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, CA_DAYS);
    Ok(params)
}

fn valid_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // An hour back, for devices whose clock is a little slow.
    let from = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(Duration::from_secs(3_600));
    params.not_before = from;
    params.not_after = from + DAY * days;
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

    #[test]
    fn the_hub_makes_its_certificate_once_and_again_when_its_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Tls { certificate: None, key: None, names: Vec::new() };
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
        let settings = Tls { certificate: Some(file.clone()), key: Some(file), names: Vec::new() };
        let error = load(&settings, dir.path(), vec![]).err().unwrap().to_string();
        assert!(error.contains("x.pem") && error.contains("hint: PEM"), "{error}");
    }
}
