//! The rows of streams on an open WebSocket.

use serde_json::{Value, json};
use springhouse_api::Options;
use springhouse_model::TenantId;
use springhouse_policy::Scope;

use crate::house::{House, token, until};
use crate::socket::Socket;

async fn tail(house: &House, parameters: &str) -> Socket {
    let reader = token(&house.meta, TenantId::main(), vec![Scope::Read]).await;
    Socket::open(house, &reader, &format!("/api/v1/tail?{parameters}")).await.unwrap()
}

/// The values of one property in a frame.
fn values(frame: &Value, property: &str) -> Vec<Value> {
    frame["rows"].as_array().unwrap().iter().map(|row| row[property].clone()).collect()
}

/// As many values, over as many frames as it takes: rows that became durable together may come together.
async fn next(tail: &mut Socket, property: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(values(&tail.frame().await, property));
    }
    found
}

#[tokio::test]
async fn rows_are_sent_when_they_are_durable() {
    let house = House::new().await;
    let mut tail = tail(&house, "stream=meter").await;
    house.say("a", "light", json!({ "on": true })).await;
    house.say("a", "meter", json!([{ "ts": "2026-11-01T12:00:00Z", "power": 1.5 }, { "power": 2 }])).await;
    let mut frame = tail.frame().await;
    assert_eq!((frame["stream"].clone(), frame["dropped"].clone()), (json!("meter"), json!(0)));
    let received = frame["rows"][0].as_object_mut().unwrap().remove("_received");
    assert_eq!(received, Some(json!(house.now())));
    assert_eq!(frame["rows"][0], json!({"ts": "2026-11-01T12:00:00Z", "device": "a", "power": 1.5}));
    assert_eq!(values(&frame, "power"), [1.5, 2.0]);
    house.say("a", "meter", json!({ "power": 3 })).await;
    assert_eq!(values(&tail.frame().await, "power"), [3.0]);
}

#[tokio::test]
async fn a_tail_is_of_some_streams_one_device_and_the_rows_that_pass_its_filter() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    house.sql("CREATE STREAM light (on BOOLEAN)").await;
    let mut both = tail(&house, "stream=meter,light").await;
    let mut device = tail(&house, "stream=*&device=b").await;
    let mut filter =
        tail(&house, "stream=meter&filter=power%20%3E%2010%20AND%20device%20LIKE%20%27a%25%27").await;
    house.sql("CREATE FUNCTION scaled(x DOUBLE) RETURNS DOUBLE RETURN x * 10").await;
    let mut called = tail(&house, "stream=meter&filter=scaled(power)%20%3E%20400").await;
    house.say("a", "meter", json!([{ "power": 5 }, { "power": 50 }])).await;
    house.say("b", "meter", json!({ "power": 60 })).await;
    house.say("a", "light", json!({ "on": true })).await;
    house.say("a", "meter", json!({ "power": 70 })).await;

    assert_eq!(next(&mut filter, "power", 2).await, [50.0, 70.0]);
    assert_eq!(next(&mut called, "power", 3).await, [50.0, 60.0, 70.0]);
    assert_eq!(next(&mut device, "power", 1).await, [60.0]);
    let (mut powers, mut lights) = (Vec::new(), Vec::new());
    while powers.len() + lights.len() < 5 {
        let frame = both.frame().await;
        match frame["stream"].as_str() {
            Some("meter") => powers.extend(values(&frame, "power")),
            _ => lights.extend(values(&frame, "on")),
        }
    }
    assert_eq!(
        (powers, lights),
        (vec![json!(5.0), json!(50.0), json!(60.0), json!(70.0)], vec![json!(true)])
    );
}

#[tokio::test]
async fn a_tail_may_be_of_streams_that_are_to_come() {
    let house = House::new().await;
    let mut tail = tail(&house, "stream=soil,light&filter=moisture%20%3C%2020").await;
    house.say("a", "soil", json!([{ "moisture": 10 }, { "moisture": 30 }])).await;
    // A stream that has no such column has no such row.
    house.say("a", "light", json!({ "lux": 10 })).await;
    house.say("a", "soil", json!({ "moisture": 11 })).await;
    assert_eq!(next(&mut tail, "moisture", 2).await, [10, 11]);
}

#[tokio::test]
async fn streams_of_the_hub_itself_are_not_tailed() {
    let house = House::new().await;
    let mut all = tail(&house, "stream=*,_quarantine").await;
    house
        .admin()
        .post_raw("/api/v1/devices/a/streams/meter", "not json", "application/json")
        .await
        .expect(202);
    house.say("a", "meter", json!({ "power": 1 })).await;
    assert_eq!(all.frame().await["stream"], "meter");
}

#[tokio::test]
async fn what_is_wrong_with_a_tail_is_said_before_it_opens() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    let admin = house.admin();
    let ask = async |parameters: &str| admin.get(&format!("/api/v1/tail?{parameters}")).await;
    let problem = ask("stream=meter&filter=pwer%20%3E%201").await.problem(400, "invalid_filter");
    assert!(problem["detail"].as_str().unwrap().contains("pwer"), "{problem}");
    ask("stream=meter&filter=power").await.problem(400, "invalid_filter");
    ask("stream=meter&filter=power%20%3E").await.problem(400, "invalid_filter");
    ask("stream=").await.problem(400, "invalid_query");
    ask("stream=met*").await.problem(400, "invalid_query");
    ask("stream=Meter").await.problem(400, "invalid_name");
    ask("stream=meter&device=a%2Fb").await.problem(400, "invalid_name");
    ask("stream=meter&filter=power%20%3E%201").await.problem(426, "upgrade_required");
}

#[tokio::test]
async fn a_slow_client_is_moved_ahead_and_told_how_much_it_has_missed() {
    let house = House::new().await;
    let mut tail = tail(&house, "stream=meter&filter=power%20%3C%20100").await;
    tail.valve.close();
    house.say("a", "meter", json!({ "power": 0 })).await;
    tail.valve.until_stuck().await;
    house.say("a", "meter", json!([{ "power": 1 }, { "power": 2 }, { "power": 200 }])).await;
    house.say("a", "meter", json!({ "power": 3 })).await;
    house.clock.advance_micros(1_500_000);
    house.say("a", "meter", json!({ "power": 4 })).await;
    tail.valve.open();
    assert_eq!(values(&tail.frame().await, "power"), [0]);
    let after = tail.frame().await;
    assert_eq!((values(&after, "power"), after["dropped"].clone()), (vec![json!(4)], json!(3)));
    house.say("a", "meter", json!({ "power": 5 })).await;
    assert_eq!(tail.frame().await["dropped"], 0, "told once");
}

#[tokio::test]
async fn a_slow_client_is_told_even_when_nothing_more_comes() {
    let house = House::new().await;
    let mut tail = tail(&house, "stream=meter").await;
    tail.valve.close();
    house.say("a", "meter", json!({ "power": 0 })).await;
    tail.valve.until_stuck().await;
    house.say("a", "meter", json!([{ "power": 1 }, { "power": 2 }])).await;
    house.clock.advance_micros(1_500_000);
    tail.valve.open();
    assert_eq!(values(&tail.frame().await, "power"), [0]);
    assert_eq!(tail.frame().await, json!({"stream": "meter", "rows": [], "dropped": 2}));
}

#[tokio::test]
async fn a_revoked_token_ends_its_tails_and_no_others() {
    let house = House::new().await;
    let admin = house.admin();
    let made = admin.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["read"] })).await.expect(201);
    let path = "/api/v1/tail?stream=*";
    let mut ended = Socket::open(&house, made["token"].as_str().unwrap(), path).await.unwrap();
    let mut other = tail(&house, "stream=*").await;
    admin.delete(&format!("/api/v1/tokens/{}", made["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(ended.end().await, Some(1008));
    house.say("a", "meter", json!({ "power": 1 })).await;
    assert_eq!(values(&other.frame().await, "power"), [1]);
}

#[tokio::test]
async fn the_end_of_the_hub_ends_tails() {
    let house = House::new().await;
    let mut tail = tail(&house, "stream=*").await;
    house.shutdown.send_replace(true);
    assert_eq!(tail.end().await, Some(1001));
}

#[tokio::test]
async fn tails_have_a_bound_and_give_their_place_back() {
    let house = House::with_options(Options { tails_max: 1, ..Options::default() }).await;
    let reader = token(&house.meta, TenantId::main(), vec![Scope::Read]).await;
    let open = async || Socket::open(&house, &reader, "/api/v1/tail?stream=*").await;
    let first = open().await.unwrap();
    assert_eq!(open().await.err(), Some(503));
    drop(first);
    until(async || open().await.ok()).await;
}

#[tokio::test]
async fn a_tail_asks_for_credentials_and_for_the_scope_to_read() {
    let house = House::new().await;
    let path = "/api/v1/tail?stream=*";
    assert_eq!(Socket::open_with(&house, &[], path).await.err(), Some(401));
    let gateway = token(&house.meta, TenantId::main(), vec![Scope::Ingest]).await;
    assert_eq!(Socket::open(&house, &gateway, path).await.err(), Some(403));
}

#[tokio::test]
async fn the_way_from_a_device_to_a_page_is_measured() {
    let house = House::new().await;
    let mut tail = tail(&house, "stream=meter").await;
    let overview =
        async || house.admin().get("/api/v1/overview").await.expect(200)["ingest_to_page_ms_p99"].clone();
    assert_eq!(overview().await, Value::Null, "nobody looks");
    house.say("a", "meter", json!({ "power": 1 })).await;
    tail.frame().await;
    let measured = until(async || Some(overview().await).filter(|value| !value.is_null())).await;
    assert_eq!(measured, 0.0, "the clock of this house stands still");
}
