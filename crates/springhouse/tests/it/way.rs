//! The whole way: from a device's publish to rows, windows and alerts, over a restart in order.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::json;

use crate::hub::House;
use crate::program::{run, said};

/// Publishes messages with QoS 1 and returns when all are acknowledged.
async fn deliver(house: &House, token: &str, messages: &[(&str, String)]) {
    let mut options = MqttOptions::new("device", house.mqtt.ip().to_string(), house.mqtt.port());
    options.set_credentials("device", token).set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, messages.len().max(1));
    for (topic, payload) in messages {
        client.publish(*topic, QoS::AtLeastOnce, false, payload.as_str()).await.unwrap();
    }
    let mut acknowledged = 0;
    while acknowledged < messages.len() {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
            acknowledged += 1;
        }
    }
}

#[test]
fn a_link_leads_to_where_the_hub_listens() {
    let house = House::open();
    let data = house.data();
    let (code, link, error) = said(&run(data.parent().unwrap(), &["link", "--data", data.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{error}");
    let expected = format!("http://{}/welcome?link=", house.http);
    assert!(link.starts_with(&expected), "{link}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_device_publishes_is_asked_for_in_sql_windowed_and_alerted() {
    let mut house = House::open();
    house.post(
        "/sql",
        &json!({ "query":
        "CREATE STREAM room (temperature DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)" }),
    );
    house.post(
        "/pipelines",
        &json!({ "sql":
        "CREATE PIPELINE warm INTO room_10s AS SELECT device, window_start, avg(temperature) AS mean \
         FROM TUMBLE(room, ts, INTERVAL '10' SECOND) GROUP BY device, window_start, window_end" }),
    );
    house.post("/pipelines", &json!({ "sql":
        "CREATE ALERT hot SEVERITY warning AS SELECT device, ts, temperature FROM room WHERE temperature > 30" }));
    let device = house.post("/devices", &json!({ "id": "t1", "site": "lab" }));
    let token = device["token"].as_str().unwrap().to_owned();
    // 2026-01-01T00:00:00Z, one reading a second; the mean of 10..=19 is 14.5.
    let reading = |second: i64, value: f64| {
        (
            "devices/t1/room",
            json!({ "ts": 1_767_225_600_000_i64 + second * 1_000, "temperature": value }).to_string(),
        )
    };
    let messages: Vec<_> = (10..20).map(|second| reading(second, second as f64)).collect();
    deliver(&house, &token, &messages).await;
    assert_eq!(house.sql("SELECT count(*), avg(temperature) FROM room")[0], [json!(10), json!(14.5)]);

    // Ended in the middle of the way and started again: the window closes once, with what came before.
    assert_eq!(house.hub.take().unwrap().end(), Some(0));
    house.start_again();
    deliver(&house, &token, &[reading(25, 31.0), ("devices/t1/room", "no JSON".into())]).await;
    let rows = house.wait_for_rows("SELECT device, mean FROM room_10s", 1);
    assert_eq!(rows, [[json!("t1"), json!(14.5)]]);
    let fired = house
        .wait_for("/alerts", |alerts| alerts["events"].as_array().is_some_and(|events| !events.is_empty()));
    assert_eq!(fired["events"][0]["alert"], "hot");
    assert_eq!(fired["events"][0]["row"]["temperature"], 31.0);
    let held =
        house.wait_for("/quarantine", |held| held["items"].as_array().is_some_and(|items| !items.is_empty()));
    assert_eq!(held["items"][0]["reason"], "not_json");
    let site = house.sql("SELECT DISTINCT site FROM room");
    assert_eq!(site, [[json!("lab")]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_publishes_nothing_but_its_own_topics_and_nobody_comes_in_without_a_token() {
    let house = House::open();
    let device = house.post("/devices", &json!({ "id": "own" }));
    let token = device["token"].as_str().unwrap().to_owned();
    // MQTT 3.1.1 has no word for a refused publish: it is answered and dropped (§3.3.5). The second message is the
    // device's own and shows that the first has been dealt with.
    deliver(
        &house,
        &token,
        &[("devices/other/room", r#"{"n":1}"#.into()), ("devices/own/mine", r#"{"n":2}"#.into())],
    )
    .await;
    let streams = house.get("/streams");
    let names: Vec<&str> =
        streams.as_array().unwrap().iter().filter_map(|stream| stream["name"].as_str()).collect();
    assert_eq!(names, ["mine"]);
    for password in [None, Some("wrong"), Some("shk_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
        let mut options = MqttOptions::new("nobody", house.mqtt.ip().to_string(), house.mqtt.port());
        if let Some(password) = password {
            options.set_credentials("own", password);
        }
        let (_client, mut events) = AsyncClient::new(options, 1);
        assert!(events.poll().await.is_err(), "{password:?} came in");
    }
}
