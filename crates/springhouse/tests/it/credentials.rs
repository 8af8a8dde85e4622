//! A connection lasts as long as the token that it was made with.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::hub::House;
use crate::program::{run, said};

/// What has not happened after this long does not happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// An MQTT 3.1.1 client that has said CONNECT (section 3.1) and was let in.
fn connected(hub: SocketAddr, id: &str, token: &str) -> TcpStream {
    let mut connect = b"\x00\x04MQTT\x04\xc2\x00\x00".to_vec();
    for text in [id, id, token] {
        connect.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        connect.extend(text.as_bytes());
    }
    let mut stream = TcpStream::connect(hub).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[0x10, u8::try_from(connect.len()).unwrap()]).unwrap();
    stream.write_all(&connect).unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0], "{id} is let in");
    stream
}

#[test]
fn a_token_revoked_beside_the_hub_cuts_off_who_came_with_it_and_no_others() {
    let house = House::open();
    let gateway = house.token(&["--name", "gateway", "--scope", "ingest"]);
    let lamp = house.token(&["--name", "lamp", "--device", "lamp"]);
    let lock = house.token(&["--name", "lock", "--device", "lock"]);
    let mut cut = [connected(house.mqtt, "gateway", &gateway), connected(house.mqtt, "lamp", &lamp)];
    let mut kept = connected(house.mqtt, "lock", &lock);

    let tokens = house.get("/tokens");
    let data = house.data();
    for name in ["gateway", "lamp"] {
        let tokens = tokens.as_array().unwrap();
        let id = tokens.iter().find(|token| token["name"] == name).unwrap()["id"].as_str().unwrap();
        let arguments = ["token", "revoke", id, "--data", data.to_str().unwrap()];
        let (code, _, error) = said(&run(&data, &arguments));
        assert_eq!(code, Some(0), "{error}");
    }
    for stream in &mut cut {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(bytes) => assert_eq!(bytes, 0, "MQTT 3.1.1 has no DISCONNECT of the server"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    kept.write_all(&[0xc0, 0]).unwrap();
    let mut pong = [0; 2];
    kept.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0xd0, 0]);
}
