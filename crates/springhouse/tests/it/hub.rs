//! A hub in a process of its own: started, asked, killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{command, run, said};

/// What has not happened after this long does not happen.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A running hub on ports of its own. Killed when dropped.
pub struct Hub {
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    pub mqtts: Option<SocketAddr>,
    pub https: Option<SocketAddr>,
    child: Child,
}

impl Hub {
    /// Starts a hub and waits until it says that it is open. Port 0 leaves the choice to the system.
    pub fn start(data: &Path, mqtt: u16, http: u16, more: &[&str]) -> Hub {
        let (mqtt, http) = (format!("127.0.0.1:{mqtt}"), format!("127.0.0.1:{http}"));
        let mut child = command(data.parent().unwrap())
            .args(["hub", "--log-format", "json", "--mqtt", &mqtt, "--http", &http, "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, said) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Read to the end, so that the hub never waits for somebody to read its log.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let (mut mqtt, mut http, mut log) = (None, None, String::new());
        let (mut mqtts, mut https) = (None, None);
        for line in said {
            log.push_str(&line);
            log.push('\n');
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = || line["address"].as_str().and_then(|address| address.parse().ok());
            match (line["message"].as_str(), line["listener"].as_str()) {
                (Some("listening"), Some("mqtt")) => mqtt = address(),
                (Some("listening"), Some("http")) => http = address(),
                (Some("listening"), Some("mqtts")) => mqtts = address(),
                (Some("listening"), Some("https")) => https = address(),
                (Some("the hub is open"), _) => break,
                _ => {}
            }
        }
        let (Some(mqtt), Some(http)) = (mqtt, http) else { panic!("the hub did not open:\n{log}") };
        Hub { mqtt, http, mqtts, https, child }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end; returns the exit code.
    pub fn end(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory with a hub on it that can be killed and started again on the same ports.
pub struct House {
    pub hub: Option<Hub>,
    pub admin: String,
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    directory: TempDir,
}

impl House {
    pub fn open() -> House {
        House::configured("")
    }

    /// With a configuration file in its data directory.
    pub fn configured(toml: &str) -> House {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        std::fs::write(directory.path().join("data/springhouse.toml"), toml).unwrap();
        let hub = Hub::start(&directory.path().join("data"), 0, 0, &[]);
        let mut house =
            House { mqtt: hub.mqtt, http: hub.http, hub: Some(hub), admin: String::new(), directory };
        house.admin = house.token(&["--name", "test", "--scope", "admin"]);
        house
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// `springhouse token create --data` beside the running hub.
    pub fn token(&self, arguments: &[&str]) -> String {
        let data = self.data();
        let mut all = vec!["token", "create", "--data", data.to_str().unwrap()];
        all.extend(arguments);
        let (code, token, error) = said(&run(self.directory.path(), &all));
        assert_eq!(code, Some(0), "{error}");
        token.lines().last().unwrap().to_owned()
    }

    pub fn kill(&mut self) {
        self.hub.take().unwrap().kill();
    }

    pub fn start_again(&mut self) {
        self.hub = Some(Hub::start(&self.data(), self.mqtt.port(), self.http.port(), &[]));
    }

    pub fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1{path}", self.http);
        let answer = ureq::get(&url).header("Authorization", format!("Bearer {}", self.admin)).call();
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}")).body_mut().read_json().unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("http://{}/api/v1{path}", self.http);
        let answer =
            ureq::post(&url).header("Authorization", format!("Bearer {}", self.admin)).send_json(body);
        answer.unwrap_or_else(|error| panic!("POST {path}: {error}")).body_mut().read_json().unwrap()
    }

    /// The rows of a query.
    pub fn sql(&self, query: &str) -> Vec<Vec<Value>> {
        let answer = self.post("/sql", &json!({ "query": query }));
        serde_json::from_value(answer["rows"].clone()).unwrap()
    }

    /// Asks again and again until the answer is what is wanted.
    pub fn wait_for(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if is_wanted(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} still answers {answer}");
            std::thread::sleep(POLL);
        }
    }

    /// As [`House::wait_for`], until a query has that many rows. Its tables may still have to come into being.
    pub fn wait_for_rows(&self, query: &str, rows: usize) -> Vec<Vec<Value>> {
        let begun = Instant::now();
        loop {
            let found = self.sql(query);
            if found.len() >= rows {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{query} still answers {found:?}");
            std::thread::sleep(POLL);
        }
    }
}
