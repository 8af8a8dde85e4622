//! Readings over HTTP: who may deliver, what becomes of a payload, and when the answer leaves.

use std::sync::Arc;

use serde_json::{Value, json};
use springhouse_ingest::Admission;
use springhouse_log::Log;
use springhouse_model::TenantId;

use crate::client::Client;
use crate::house::{House, Plan, in_time};
use crate::slow_log::SlowLog;

const METER: &str = "/api/v1/devices/meter-1/streams/meter";

/// A stream that takes nothing but `power`.
async fn declare_meter(house: &House) {
    house.sql("CREATE STREAM meter (power DOUBLE NOT NULL)").await;
}

#[tokio::test]
async fn the_answer_leaves_after_the_commit_that_holds_the_reading() {
    let log = SlowLog::new();
    let house = House::with(Plan { log: Some(Arc::clone(&log) as Arc<dyn Log>), ..Plan::default() }).await;
    let device = house.device("meter-1").await;
    log.hold();
    let mut begun = log.begun();
    let mut answer = tokio::spawn(async move { device.post(METER, json!({ "power": 1.5 })).await });
    in_time(begun.wait_for(|begun| *begun > 0)).await.unwrap();
    // The commit is under way: whatever can go on has gone on when everybody has had his turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished(), "acknowledged before it was durable");
    assert_eq!(log.end().0, 0);
    log.let_go();
    let delivered = in_time(&mut answer).await.unwrap().expect(202);
    assert_eq!(delivered, json!({"accepted": 1, "duplicate": false, "quarantined": []}));
    assert_eq!(house.rows("SELECT device, power FROM meter").await, json!([["meter-1", 1.5]]));
}

#[tokio::test]
async fn an_array_is_as_many_readings() {
    let house = House::new().await;
    let device = house.device("meter-1").await;
    let delivered =
        device.post(METER, json!([{ "power": 1 }, { "power": 2 }, { "power": 3 }])).await.expect(202);
    assert_eq!(delivered["accepted"], 3);
    assert_eq!(house.rows("SELECT sum(power) FROM meter").await, json!([[6]]));
}

#[tokio::test]
async fn a_device_speaks_for_itself_alone() {
    let house = House::new().await;
    let device = house.device("meter-1").await;
    let answer = device.post("/api/v1/devices/meter-2/streams/meter", json!({ "power": 1.5 })).await;
    let problem = answer.problem(403, "wrong_device");
    assert_eq!(problem["detail"], "this token speaks for device `meter-1` alone");
    assert!(house.entry("meter").is_none(), "nothing was kept");
    device.post(METER, json!({ "power": 1.5 })).await.expect(202);
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_kept_with_its_reason() {
    let house = House::new().await;
    declare_meter(&house).await;
    let device = house.device("meter-1").await;
    let deliver = async |payload: &str| {
        let answer = device.post_raw(METER, payload.to_owned(), "application/json").await.expect(202);
        assert_eq!(answer["accepted"], 0, "{payload}");
        answer["quarantined"].clone()
    };
    for (payload, reason) in [
        ("{\"power\": ", "not_json"),
        ("{\"power\": NaN}", "not_json"),
        ("7", "not_an_object"),
        ("{\"power\": \"much\"}", "wrong_type"),
        ("{}", "missing_field"),
        ("{\"power\": 1, \"voltage\": 230}", "unknown_field"),
        ("{\"power\": 1, \"power\": 2}", "duplicate_key"),
        ("{\"power\": 1, \"ts\": \"yesterday\"}", "bad_time"),
        ("{\"power\": 1, \"ts\": \"1970-01-01T00:00:00Z\"}", "time_out_of_range"),
    ] {
        assert_eq!(deliver(payload).await, json!([reason]), "{payload}");
    }
    let whole = deliver("[{\"power\": 1}, {\"power\": true}]").await;
    assert_eq!(whole, json!(["wrong_type"]), "one that does not fit keeps its message out whole");
    let binary = device.post_raw(METER, vec![0xff, 0xfe], "application/octet-stream").await.expect(202);
    assert_eq!(binary["quarantined"], json!(["not_utf8"]));
    assert_eq!(house.rows("SELECT count(*) FROM meter").await, json!([[0]]));
    house.quarantine(11).await;
}

#[tokio::test]
async fn a_repeated_message_id_adds_nothing() {
    let house = House::new().await;
    let device = house.device("meter-1").await;
    let deliver = async |client: &Client, path: &str, id: &str| {
        client.with("message-id", id).post(path, json!({ "power": 1.5 })).await.expect(202)
    };
    assert_eq!(deliver(&device, METER, "a").await["accepted"], 1);
    let again = deliver(&device, METER, "a").await;
    assert_eq!(again, json!({"accepted": 0, "duplicate": true, "quarantined": []}));
    assert_eq!(deliver(&device, METER, "b").await["accepted"], 1);
    let other = house.device("meter-2").await;
    assert_eq!(
        deliver(&other, "/api/v1/devices/meter-2/streams/meter", "a").await["accepted"],
        1,
        "ids belong to a device"
    );
    assert_eq!(house.rows("SELECT count(*) FROM meter").await, json!([[3]]));
}

#[tokio::test]
async fn a_message_id_is_short_and_printable() {
    let house = House::new().await;
    let device = house.device("meter-1").await;
    for id in ["", &"x".repeat(129)] {
        let answer = device.with("message-id", id).post(METER, json!({ "power": 1 })).await;
        answer.problem(400, "invalid_message_id");
    }
    device.with("message-id", &"x".repeat(128)).post(METER, json!({ "power": 1 })).await.expect(202);
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let house = House::new().await;
    let admin = house.admin();
    for path in [
        "/api/v1/devices/a%2Fb/streams/meter",
        "/api/v1/devices/a/streams/Not-A-Stream",
        "/api/v1/devices/%20/streams/meter",
    ] {
        admin.post(path, json!({ "power": 1 })).await.problem(400, "invalid_path");
    }
    // Every other name is free, also one that stands for an action elsewhere.
    admin.post("/api/v1/devices/meter-1/streams/approve", json!({ "power": 1 })).await.expect(202);
    assert!(house.entry("approve").is_some());
}

#[tokio::test]
async fn streams_of_the_hub_itself_take_nothing() {
    let house = House::new().await;
    let delivered =
        house.admin().post("/api/v1/devices/a/streams/_quarantine", json!({ "reason": "x" })).await;
    assert_ne!(delivered.json()["accepted"], 1, "{}", delivered.text());
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    house.sql("CREATE PIPELINE peaks INTO peak AS SELECT ts, device, power FROM meter").await;
    let derived =
        house.admin().post("/api/v1/devices/a/streams/peak", json!({ "power": 1 })).await.expect(202);
    assert_eq!(derived["quarantined"], json!(["not_writable"]));
}

#[tokio::test]
async fn unknown_devices_wait_for_approval_where_the_owner_wants_that() {
    let house = House::with(Plan { admission: Admission::Approve, ..Plan::default() }).await;
    let admin = house.admin();
    let say = async |n: i64| admin.post(METER, json!({ "power": n })).await.expect(202);
    assert_eq!(say(1).await["accepted"], 1, "what is pending is charted");
    let device = async || admin.get("/api/v1/devices/meter-1").await.expect(200);
    assert_eq!(device().await["state"], "pending");
    assert_eq!(admin.get("/api/v1/streams/meter").await.expect(200)["state"], "pending");
    assert_eq!(
        admin.post("/api/v1/devices/meter-1/approve", Value::Null).await.expect(200)["state"],
        "approved"
    );
    assert_eq!(
        admin.post("/api/v1/streams/meter/approve", Value::Null).await.expect(200)["state"],
        "approved"
    );
    say(2).await;
    assert_eq!(
        admin.post("/api/v1/devices/meter-1/refuse", Value::Null).await.expect(200)["state"],
        "refused"
    );
    assert_eq!(say(3).await["quarantined"], json!(["device_refused"]));
    admin.post("/api/v1/devices/meter-1/approve", Value::Null).await.expect(200);
    assert_eq!(admin.post("/api/v1/streams/meter/refuse", Value::Null).await.expect(200)["state"], "refused");
    assert_eq!(say(4).await["quarantined"], json!(["stream_refused"]));
}

#[tokio::test]
async fn a_refused_device_loses_its_token() {
    let house = House::new().await;
    let device = house.device("meter-1").await;
    device.post(METER, json!({ "power": 1 })).await.expect(202);
    house.admin().post("/api/v1/devices/meter-1/refuse", Value::Null).await.expect(200);
    device.post(METER, json!({ "power": 1 })).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn no_reading_is_taken_by_a_hub_that_ends() {
    let house = House::new().await;
    let device = house.device("meter-1").await;
    house.ingest.close().await;
    let answer = device.post(METER, json!({ "power": 1 })).await;
    answer.problem(503, "not_taken");
    assert_eq!(answer.header("retry-after"), "30");
    assert!(house.lake.twin().all(&TenantId::main()).is_empty());
}
