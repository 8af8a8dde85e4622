//! Reference tables from other machines: those that the owner has named are read, and no others are connected to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::hub::House;
use crate::program::{command, said};

/// What a server has been asked: path and authorization.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server on a port of its own, which is gone with the test.
struct Server {
    port: u16,
    asked: Asked,
    /// What it answers on paths below `/erp`.
    rooms: Arc<Mutex<String>>,
}

impl Server {
    fn start(tls: Option<Arc<rustls::ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server { port, asked: Asked::default(), rooms: Arc::default() };
        let (asked, rooms) = (Arc::clone(&server.asked), Arc::clone(&server.rooms));
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (asked, rooms) = (Arc::clone(&asked), Arc::clone(&rooms));
                match &tls {
                    // Each by itself: one that is not answered holds up no other.
                    None => drop(std::thread::spawn(move || answer(connection, &asked, &rooms))),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(Arc::clone(tls)).unwrap();
                        answer(rustls::StreamOwned::new(session, connection), &asked, &rooms);
                    }
                }
            }
        });
        server
    }

    fn holds(&self, rooms: &str) {
        *self.rooms.lock().unwrap() = rooms.to_owned();
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// A client that does not trust the server ends the connection before it asks.
fn answer(connection: impl Read + Write, asked: &Asked, rooms: &Mutex<String>) {
    let mut connection = BufReader::new(connection);
    let (mut first, mut authorization) = (String::new(), String::new());
    if connection.read_line(&mut first).is_err() || first.is_empty() {
        return;
    }
    let mut line = String::new();
    while connection.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some((name, value)) = line.trim().split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = value.to_owned();
        }
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let (head, body) = match path.as_str() {
        "/erp/moved.csv" => ("302 Found\r\nLocation: /elsewhere.csv?key=secret", String::new()),
        "/erp/gone.csv" => ("404 Not Found", "who asks for this is watched".to_owned()),
        "/erp/part.json" => ("206 Partial Content", "[]".to_owned()),
        "/erp/nothing.json" => ("200 OK", "\n".to_owned()),
        // Answers once; then nothing is said until the client goes.
        "/erp/silent.json" if asked.lock().unwrap().iter().any(|(before, _)| *before == path) => {
            let _ = connection.read_to_end(&mut Vec::new());
            return;
        }
        _ => ("200 OK", rooms.lock().unwrap().clone()),
    };
    asked.lock().unwrap().push((path, authorization));
    let length = body.len();
    let text = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = connection.get_mut().write_all(text.as_bytes());
    let _ = connection.get_mut().flush();
}

fn sql(house: &House, text: &str) -> (Option<i32>, String, String) {
    let mut command = command(&house.data());
    command.args(["sql", text]);
    command.env("SPRINGHOUSE_URL", format!("http://{}", house.http));
    command.env("SPRINGHOUSE_TOKEN", &house.admin);
    said(&command.output().unwrap())
}

fn create(name: &str, address: &str) -> String {
    let format = if address.contains(".csv") { "csv" } else { "json" };
    format!(
        "CREATE TABLE {name} (device TEXT, room TEXT, PRIMARY KEY (device)) FROM '{address}' FORMAT {format}"
    )
}

fn outbound(house: &House) -> serde_json::Value {
    house.get("/overview")["outbound_connections"].clone()
}

#[test]
fn a_table_is_read_from_an_address_that_the_owner_has_named() {
    let (server, other) = (Server::start(None), Server::start(None));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("erp.token");
    std::fs::write(&token, "open sesame\n").unwrap();
    let toml = format!(
        "[[tables.addresses]]\nurl = 'http://127.0.0.1:{}/erp'\ntoken_file = '{}'\n",
        server.port,
        token.display()
    );
    let house = House::configured(&toml);
    let address = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
    // As APIs answer: an array of objects.
    server.holds("[\n  {\"device\": \"a\", \"room\": \"hall\", \"floor\": 1},\n  {\"device\": \"b\"}\n]\n");
    let (code, _, error) = sql(&house, &create("rooms", &address("/erp/rooms?key=secret")));
    assert_eq!(code, Some(0), "{error}");
    let bearer = "Bearer open sesame".to_owned();
    assert_eq!(server.asked(), [("/erp/rooms?key=secret".to_owned(), bearer.clone())]);
    assert_eq!(house.sql("SELECT device, room FROM rooms ORDER BY device").len(), 2);
    server.holds("[{\"device\": \"a\", \"room\": \"attic\"}]");
    assert_eq!(sql(&house, "REFRESH TABLE rooms").1.trim(), "table `rooms` has version 2");
    assert_eq!(house.sql("SELECT room FROM rooms"), [["attic"]]);

    // What cannot be taken leaves the rows and names no key.
    server.holds("[{\"device\": \"a\"},\n{\"room\": \"x\"}]");
    let (_, _, error) = sql(&house, "REFRESH TABLE rooms");
    assert!(error.contains("rooms, line 2: column `device`") && !error.contains("secret"), "{error}");
    assert_eq!(house.sql("SELECT room FROM rooms"), [["attic"]]);
    server.asked();

    for (path, reason) in [
        ("/erp/moved.csv", "it sends on to `/elsewhere.csv`"),
        ("/erp/gone.csv", "the answer is 404 Not Found"),
        ("/erp/part.json", "the answer is 206 Partial Content"),
        ("/erp/nothing.json", "the answer is empty"),
    ] {
        let (code, _, error) = sql(&house, &create("others", &address(path)));
        assert!(code != Some(0) && error.contains(reason) && !error.contains("watched"), "{error}");
        assert_eq!(server.asked(), [(path.to_owned(), bearer.clone())]);
    }
    // The page shows that this hub connects to somebody.
    assert_eq!(outbound(&house), 7);
    let elsewhere = format!("http://127.0.0.1:{}/erp/a.csv", other.port);
    for refused in [&address("/erp2/a.csv"), &address("/erp/../a.csv"), &elsewhere] {
        let (code, _, error) = sql(&house, &create("others", refused));
        assert!(code != Some(0) && error.contains("hint: "), "{refused}: {error}");
    }
    assert_eq!((server.asked(), other.asked(), outbound(&house)), (vec![], vec![], 7.into()));
}

#[test]
fn a_server_is_believed_by_its_certificate() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], made.signing_key.into())
        .unwrap();
    let server = Server::start(Some(Arc::new(config)));
    server.holds("device,room\na,hall\n");
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    let named = format!("[[tables.addresses]]\nurl = 'https://localhost:{}/'\n", server.port);
    let statement = create("rooms", &format!("https://localhost:{}/rooms.csv", server.port));

    let trusting = House::configured(&format!("tables.ca_file = '{}'\n{named}", authority.display()));
    let (code, _, error) = sql(&trusting, &statement);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(trusting.sql("SELECT device, room FROM rooms"), [["a", "hall"]]);
    assert_eq!(server.asked().len(), 1);

    let wary = House::configured(&named);
    let (code, _, error) = sql(&wary, &statement);
    assert!(code != Some(0) && error.contains("cannot read `https://localhost"), "{error}");
    assert_eq!(server.asked(), []);
}

#[test]
fn a_source_that_does_not_answer_holds_up_no_other_table() {
    let server = Server::start(None);
    let toml = format!("[[tables.addresses]]\nurl = 'http://127.0.0.1:{}/erp'\n", server.port);
    let house = House::configured(&toml);
    let each = |name: &str, path: &str| {
        let address = format!("http://127.0.0.1:{}{path}", server.port);
        create(name, &address) + " REFRESH EVERY INTERVAL '10' SECOND"
    };
    server.holds("[{\"device\": \"a\", \"room\": \"hall\"}]");
    // In this order their times come.
    for (name, path) in [("silent", "/erp/silent.json"), ("rooms", "/erp/rooms.json")] {
        let made = sql(&house, &each(name, path));
        assert_eq!(made.0, Some(0), "{}", made.2);
    }
    server.holds("[{\"device\": \"a\", \"room\": \"attic\"}]");
    house.wait_for("/tables/rooms", |table| table["version"] == 2);
}
