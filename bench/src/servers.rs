//! Starts and stops the servers that are measured, each in a folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::Arguments;
use crate::client::Target;

/// How long a server may take until it accepts connections.
const START_SECONDS_MAX: u64 = 30;

/// A running server; killed and cleaned away when dropped.
pub struct Server {
    pub name: &'static str,
    pub target: Target,
    /// Base address of the HTTP API, for a hub.
    pub http: Option<String>,
    /// A token with scope `admin`, for a hub.
    pub token: Option<String>,
    /// Where its data is; lives as long as the server.
    pub folder: Arc<TempDir>,
    child: Child,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn stop(mut self) {
        self.kill();
    }

    /// SIGTERM, and waits for the orderly end.
    pub fn end(mut self) -> Result<()> {
        let status =
            Command::new("kill").arg(self.pid().to_string()).status().context("cannot run `kill`")?;
        if !status.success() || !self.child.wait()?.success() {
            bail!("the server did not end in order");
        }
        Ok(())
    }

    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A free port of the loopback address.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?)
}

/// Waits until something listens.
pub fn wait_for(address: SocketAddr) -> Result<()> {
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begin.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
            bail!("nothing listens on {address} after {START_SECONDS_MAX} s");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Waits until a hub says that it serves; its sockets are open before that.
fn wait_until_ready(http: SocketAddr) -> Result<()> {
    let begin = Instant::now();
    while !ureq::get(format!("http://{http}/readyz")).call().is_ok_and(|answer| answer.status() == 200) {
        if begin.elapsed() > Duration::from_secs(START_SECONDS_MAX) {
            bail!("the hub at {http} is not ready after {START_SECONDS_MAX} s");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// A hub with its defaults, and a token to enter it.
pub fn hub(arguments: &Arguments) -> Result<Server> {
    hub_in(arguments, Arc::new(tempfile::tempdir_in(&arguments.scratch)?), &[])
}

/// A hub that clients reach over TLS, with the certificate that it makes for itself.
pub fn hub_tls(arguments: &Arguments) -> Result<Server> {
    let address = free_address()?;
    let folder = Arc::new(tempfile::tempdir_in(&arguments.scratch)?);
    let mut server = hub_in(arguments, folder, &["--mqtts".into(), address.to_string()])?;
    server.target.address = address;
    server.target.tls = Some(trusting(&server.folder.path().join("data/tls/ca.pem"))?);
    Ok(server)
}

/// A TLS client that believes one authority.
fn trusting(authority: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A hub over the data of a folder; `more` are further flags.
pub fn hub_in(arguments: &Arguments, folder: Arc<TempDir>, more: &[String]) -> Result<Server> {
    let (mqtt, http) = (free_address()?, free_address()?);
    let data = folder.path().join("data");
    let child = Command::new(&arguments.springhouse)
        .args(["hub", "--data"])
        .arg(&data)
        .args(["--mqtt", &mqtt.to_string(), "--http", &http.to_string()])
        .args(more)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("log"))?)
        .spawn()
        .context("cannot start the hub")?;
    let mut server = Server {
        name: "springhouse",
        target: Target { address: mqtt, username: Some("bench".into()), password: None, tls: None },
        http: Some(format!("http://{http}")),
        token: None,
        folder,
        child,
    };
    wait_until_ready(http)?;
    let token = create_token(&arguments.springhouse, &data)?;
    server.target.password = Some(token.clone());
    server.token = Some(token);
    Ok(server)
}

fn create_token(springhouse: &Path, data: &Path) -> Result<String> {
    let output = Command::new(springhouse)
        .args(["token", "create", "--scope", "admin", "--name", "bench", "--data"])
        .arg(data)
        .output()
        .context("cannot create a token")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().map(|line| line.trim().to_owned()).context("no token was printed")
}

/// Debian's mosquitto, with its persistence file or without.
pub fn mosquitto(arguments: &Arguments, persistence: bool) -> Result<Option<Server>> {
    if !arguments.mosquitto.exists() {
        return Ok(None);
    }
    let folder = Arc::new(tempfile::tempdir_in(&arguments.scratch)?);
    let address = free_address()?;
    let config = folder.path().join("mosquitto.conf");
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    fs::write(
        &config,
        format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence {persistence}\npersistence_location {}/\nuser {user}\n\
             max_inflight_messages 0\nmax_queued_messages 0\n",
            address.port(),
            folder.path().display()
        ),
    )?;
    let child = Command::new(&arguments.mosquitto)
        .arg("-c")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start mosquitto")?;
    let name = if persistence { "mosquitto, persistence on" } else { "mosquitto, no persistence" };
    let target = Target { address, username: None, password: None, tls: None };
    let server = Server { name, target, http: None, token: None, folder, child };
    wait_for(address)?;
    Ok(Some(server))
}
