//! Starts and stops the servers that are measured, each in a folder of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
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
    /// Held so that the data lives as long as the server.
    _folder: TempDir,
    child: Child,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stop(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
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

/// A hub with its defaults, and a token to enter it.
pub fn hub(arguments: &Arguments) -> Result<Server> {
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
    let (mqtt, http) = (free_address()?, free_address()?);
    let data = folder.path().join("data");
    let child = Command::new(&arguments.springhouse)
        .args(["hub", "--data"])
        .arg(&data)
        .args(["--mqtt", &mqtt.to_string(), "--http", &http.to_string()])
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("log"))?)
        .spawn()
        .context("cannot start the hub")?;
    let mut server = Server {
        name: "springhouse",
        target: Target { address: mqtt, username: Some("bench".into()), password: None },
        http: Some(format!("http://{http}")),
        token: None,
        _folder: folder,
        child,
    };
    wait_for(mqtt)?;
    wait_for(http)?;
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
    let folder = tempfile::tempdir_in(&arguments.scratch)?;
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
    let target = Target { address, username: None, password: None };
    let server = Server { name, target, http: None, token: None, _folder: folder, child };
    wait_for(address)?;
    Ok(Some(server))
}
