//! Devices with certificates: real clients of EST (strongSwan's `pki`), TLS (OpenSSL) and MQTT (mosquitto) against a hub.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::hub::House;
use crate::program::said;

const TLS: &str = "policy = \"auto\"\n[mqtt]\ntls = \"127.0.0.1:0\"\n[http]\ntls = \"127.0.0.1:0\"\n";

/// A hub that listens over TLS, and a folder for what devices keep.
struct Place {
    house: House,
    folder: tempfile::TempDir,
}

/// A key and a certificate for it, PEM.
struct Papers {
    key: PathBuf,
    certificate: PathBuf,
}

impl Place {
    fn open() -> Place {
        Place { house: House::configured(TLS), folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn authority(&self) -> PathBuf {
        self.house.data().join("tls/ca.pem")
    }

    fn register(&self, device: &str) -> String {
        self.house.post("/devices", &json!({ "id": device }));
        self.claim(device)
    }

    fn claim(&self, device: &str) -> String {
        let made = self.house.post(&format!("/devices/{}/claim", device.replace(' ', "%20")), &json!({}));
        made["claim"].as_str().unwrap().to_owned()
    }

    fn mqtts(&self) -> u16 {
        self.house.hub.as_ref().unwrap().mqtts.unwrap().port()
    }

    fn est(&self) -> String {
        format!("https://localhost:{}", self.house.hub.as_ref().unwrap().https.unwrap().port())
    }

    /// A key, and a request that asks for more than it will get.
    fn request(&self, name: &str) -> (PathBuf, Vec<u8>) {
        let key = self.file(&format!("{name}.key"));
        let made = tool("pki", &["--gen", "--type", "ed25519", "--outform", "pem"]).output().unwrap();
        std::fs::write(&key, succeeded(&made)).unwrap();
        let wants = ["--dn", "CN=admin", "--san", "admin.example", "--profile", "server"];
        let request =
            tool("pki", &["--req", "--type", "priv", "--in", text(&key)]).args(wants).output().unwrap();
        (key, succeeded(&request))
    }

    /// Enrols with `pki --est`; `who` is what the client shows.
    fn enrol(&self, name: &str, who: &[&str]) -> Result<Papers, String> {
        let (key, request) = self.request(name);
        let (url, authority) = (self.est(), self.authority());
        let mut client =
            tool("pki", &["--est", "--url", &url, "--cacert", text(&authority), "--outform", "pem"]);
        let output = with_input(client.args(who), &request);
        let certificate = self.file(&format!("{name}.pem"));
        if !output.status.success() || output.stdout.is_empty() {
            return Err(said(&output).2);
        }
        std::fs::write(&certificate, &output.stdout).unwrap();
        Ok(Papers { key, certificate })
    }

    fn enrol_by_claim(&self, name: &str, claim: &str) -> Result<Papers, String> {
        self.enrol(name, &["--userpass", &format!("any:{claim}")])
    }

    fn publish(&self, papers: &Papers, topic: &str) -> Output {
        let (port, authority) = (self.mqtts().to_string(), self.authority());
        tool(
            "mosquitto_pub",
            &["-h", "localhost", "-p", &port, "--cafile", text(&authority), "-V", "5", "-q", "1"],
        )
        .args(["--cert", text(&papers.certificate), "--key", text(&papers.key)])
        .args(["-t", topic, "-m", "{\"power\":1.5}"])
        .output()
        .unwrap()
    }

    /// Connects by TLS with what is given and says CONNECT.
    fn connect(&self, papers: &Papers, more: &[&str]) -> Client {
        let (to, authority) = (format!("localhost:{}", self.mqtts()), self.authority());
        let mut process =
            tool("openssl", &["s_client", "-quiet", "-connect", &to, "-CAfile", text(&authority)])
                .args(["-cert", text(&papers.certificate), "-key", text(&papers.key)])
                .args(more)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
        // MQTT 3.1.1, clean session, client id "c" (section 3.1). What is refused before may not be there to hear it.
        let _ = process.stdin.as_mut().unwrap().write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c");
        Client(process)
    }
}

struct Client(Child);

impl Client {
    /// The return code of CONNACK; `None` when the connection ended without one.
    fn connack(&mut self) -> Option<u8> {
        let mut answer = [0; 4];
        let read = self.0.stdout.as_mut().unwrap().read_exact(&mut answer);
        read.ok().map(|()| answer[3])
    }

    /// Waits until the other side ends the connection.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        rest
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tool(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn succeeded(output: &Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.clone()
}

fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn serials(place: &Place, device: &str) -> Vec<String> {
    let certificates = place.house.get(&format!("/devices/{device}/certificates"));
    let certificates: Vec<Value> = serde_json::from_value(certificates).unwrap();
    certificates.iter().map(|entry| entry["serial"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_device_claims_a_certificate_and_speaks_for_itself_alone() {
    let place = Place::open();
    let claim = place.register("lamp 1");
    place.register("lamp-2");
    let lamp = place.enrol_by_claim("lamp", &claim).unwrap();

    // What stands in it is the hub's to say, whatever the request asked for.
    let shown =
        tool("openssl", &["x509", "-in", text(&lamp.certificate), "-noout", "-text"]).output().unwrap();
    let shown = String::from_utf8(succeeded(&shown)).unwrap();
    assert!(shown.contains("URI:urn:springhouse:main::lamp%201"), "{shown}");
    assert!(shown.contains("TLS Web Client Authentication") && shown.contains("CA:FALSE"), "{shown}");
    assert!(!shown.contains("admin") && !shown.contains("Server Authentication"), "{shown}");
    let verified =
        tool("openssl", &["verify", "-CAfile", text(&place.authority())]).arg(&lamp.certificate).output();
    succeeded(&verified.unwrap());

    succeeded(&place.publish(&lamp, "devices/lamp 1/meter"));
    let denied = place.publish(&lamp, "devices/lamp-2/meter");
    assert!(String::from_utf8_lossy(&denied.stderr).contains("Not authorized"), "{denied:?}");
    let rows = place.house.wait_for_rows("SELECT device, power FROM meter", 1);
    assert_eq!(rows, [[json!("lamp 1"), json!(1.5)]]);
}

#[test]
fn a_claim_is_good_once_and_a_certificate_renews_itself() {
    let place = Place::open();
    let claim = place.register("lamp");
    for wrong in ["", "shc_0000000000000000_AAAA", &place.house.admin] {
        assert!(place.enrol_by_claim("wrong", wrong).is_err(), "{wrong}");
    }
    let first = place.enrol_by_claim("first", &claim).unwrap();
    assert!(place.enrol_by_claim("again", &claim).is_err(), "a claim is good once");
    assert!(place.enrol("nobody", &[]).is_err(), "without a claim and a certificate");

    let shown = ["--cert", text(&first.certificate), "--key", text(&first.key)];
    let second = place.enrol("second", &shown).unwrap();
    for papers in [&first, &second] {
        succeeded(&place.publish(papers, "devices/lamp/meter"));
    }
    assert_eq!(serials(&place, "lamp").len(), 2);

    let authority =
        tool("pki", &["--estca", "--url", &place.est(), "--cacert", text(&place.authority()), "--caout"])
            .arg(place.file("estca.pem"))
            .args(["--outform", "pem"])
            .output();
    succeeded(&authority.unwrap());
    let pem = |path: &Path| std::fs::read_to_string(path).unwrap().split_whitespace().collect::<String>();
    assert_eq!(pem(&place.file("estca.pem")), pem(&place.authority()));
}

#[test]
fn a_revoked_certificate_ends_its_connections_and_opens_no_new_one() {
    let place = Place::open();
    let lamp = place.enrol_by_claim("lamp", &place.register("lamp")).unwrap();
    let lock = place.enrol_by_claim("lock", &place.register("lock")).unwrap();
    let session = place.file("session");
    let mut connected = place.connect(&lamp, &["-sess_out", text(&session)]);
    assert_eq!(connected.connack(), Some(0));

    let url = format!("http://{}/api/v1/devices/lamp/certificates", place.house.http);
    let bearer = format!("Bearer {}", place.house.admin);
    let revoked = ureq::delete(&url).header("Authorization", &bearer).call().unwrap();
    assert_eq!(revoked.status(), 204);
    assert_eq!(connected.rest(), b"", "it is cut off");
    assert_eq!(place.connect(&lamp, &[]).connack(), None, "a new handshake");
    // OpenSSL writes a session down only when the server gives one that can be resumed.
    assert!(!session.exists(), "no session can be resumed");
    for version in ["-tls1_2", "-tls1_3"] {
        assert_eq!(place.connect(&lamp, &[version, "-reconnect"]).connack(), None, "{version}");
    }
    let shown = ["--cert", text(&lamp.certificate), "--key", text(&lamp.key)];
    assert!(place.enrol("renewed", &shown).is_err(), "nor does it get another one");
    assert_eq!(place.connect(&lock, &[]).connack(), Some(0), "others notice nothing");
}

#[test]
fn nobody_comes_in_with_a_certificate_that_somebody_else_has_signed() {
    let place = Place::open();
    let lamp = place.enrol_by_claim("lamp", &place.register("lamp")).unwrap();
    let name = "subjectAltName=URI:urn:springhouse:main::lamp";
    let (key, certificate) = (place.file("forged.key"), place.file("forged.pem"));
    let mut forge =
        tool("openssl", &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    forge.args(["-subj", "/CN=Springhouse hub authority", "-days", "30", "-addext", name]);
    forge.args(["-addext", "extendedKeyUsage=clientAuth", "-keyout", text(&key), "-out", text(&certificate)]);
    succeeded(&forge.output().unwrap());
    let forged = Papers { key, certificate };
    assert_eq!(place.connect(&forged, &[]).connack(), None, "signed by itself");
    let stolen = Papers { key: forged.key, certificate: lamp.certificate.clone() };
    assert_eq!(place.connect(&stolen, &[]).connack(), None, "another's certificate without its key");
    // The certificate of the hub itself is of the right authority, and of no device.
    let tls = place.house.data().join("tls");
    let server = Papers { key: tls.join("server.key"), certificate: tls.join("server.pem") };
    assert_eq!(place.connect(&server, &[]).connack(), None, "a server is no device");
}
