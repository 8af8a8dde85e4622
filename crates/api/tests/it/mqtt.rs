//! MQTT over WebSocket: the packets are spelled out (MQTT 3.1.1 §3).

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::house::{House, until};
use crate::socket::Socket;

const SUBPROTOCOL: (&str, &str) = ("sec-websocket-protocol", "mqtt");
const CONNACK_ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length, text.as_bytes()].concat()
}

fn packet(kind: u8, parts: &[Vec<u8>]) -> Message {
    let body = parts.concat();
    let length = u8::try_from(body.len()).unwrap();
    // Two bytes of length, the first of them with the continuation bit, where one is not enough.
    let head = if length < 128 { vec![kind, length] } else { vec![kind, length, 1] };
    Message::binary([head, body].concat())
}

fn connect(password: &str) -> Message {
    // Protocol level 4; user name, password, clean session; a minute of keep-alive.
    packet(0x10, &[text("MQTT"), vec![4, 0xc2, 0, 60], text("browser"), text("device"), text(password)])
}

fn publish(topic: &str, id: u8, payload: &str) -> Message {
    packet(0x32, &[text(topic), vec![0, id], payload.as_bytes().to_vec()])
}

async fn device_token(house: &House) -> String {
    let made = house.admin().post("/api/v1/devices", json!({ "id": "lamp-1" })).await.expect(201);
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_device_delivers_over_a_websocket() {
    let house = House::new().await;
    let token = device_token(&house).await;
    let mut socket = Socket::open_with(&house, &[SUBPROTOCOL], "/mqtt").await.unwrap();
    socket.send(connect(&token)).await;
    assert_eq!(socket.bytes().await, CONNACK_ACCEPTED);
    socket.send(publish("devices/lamp-1/light", 7, r#"{"on": true}"#)).await;
    assert_eq!(socket.bytes().await, [0x40, 2, 0, 7], "PUBACK");
    assert_eq!(house.rows(r#"SELECT device, "on" FROM light"#).await, json!([["lamp-1", true]]));
}

#[tokio::test]
async fn a_packet_may_come_in_pieces() {
    let house = House::new().await;
    let token = device_token(&house).await;
    let mut socket = Socket::open_with(&house, &[SUBPROTOCOL], "/mqtt").await.unwrap();
    for byte in connect(&token).into_data() {
        socket.send(Message::binary(vec![byte])).await;
    }
    assert_eq!(socket.bytes().await, CONNACK_ACCEPTED);
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let house = House::new().await;
    let mut socket = Socket::open_with(&house, &[SUBPROTOCOL], "/mqtt").await.unwrap();
    socket.send(connect("shk_0123456789abcdef_wrong")).await;
    assert_eq!(socket.bytes().await[..2], [0x20, 2]);
    socket.end().await;
}

#[tokio::test]
async fn a_revoked_token_cuts_its_device_off() {
    let house = House::new().await;
    let token = device_token(&house).await;
    let mut socket = Socket::open_with(&house, &[SUBPROTOCOL], "/mqtt").await.unwrap();
    socket.send(connect(&token)).await;
    assert_eq!(socket.bytes().await, CONNACK_ACCEPTED);
    house.admin().delete("/api/v1/devices/lamp-1/token").await.expect(204);
    socket.end().await;
    until(async || (house.gateway.connections() == 0).then_some(())).await;
    let mut again = Socket::open_with(&house, &[SUBPROTOCOL], "/mqtt").await.unwrap();
    again.send(connect(&token)).await;
    assert_ne!(again.bytes().await, CONNACK_ACCEPTED);
}

#[tokio::test]
async fn text_frames_end_the_connection() {
    let house = House::new().await;
    let mut socket = Socket::open_with(&house, &[SUBPROTOCOL], "/mqtt").await.unwrap();
    socket.send(Message::text("CONNECT")).await;
    socket.end().await;
}

#[tokio::test]
async fn a_client_has_to_offer_the_subprotocol() {
    let house = House::new().await;
    assert_eq!(Socket::open_with(&house, &[], "/mqtt").await.err(), Some(400));
    let other = ("sec-websocket-protocol", "graphql-ws");
    assert_eq!(Socket::open_with(&house, &[other], "/mqtt").await.err(), Some(400));
}
