//! The first screen, readiness, and where devices connect.

use std::path::PathBuf;

use serde_json::{Value, json};
use springhouse_api::Options;

use crate::house::{House, in_time, until};

#[tokio::test]
async fn the_first_screen_counts_what_there_is() {
    let house = House::new().await;
    let admin = house.admin();
    admin.post("/api/v1/devices", json!({ "id": "meter-1", "site": "home-01" })).await.expect(201);
    house.say("meter-1", "meter", json!({ "power": 500 })).await;
    house.say("roof-1", "solar", json!({ "power": 2000 })).await;
    house
        .sql("CREATE ALERT hot SEVERITY critical AS SELECT ts, device, power FROM meter WHERE power > 900")
        .await;
    let mut recorded = house.recorder.recorded();
    house.say("meter-1", "meter", json!({ "power": -1000 })).await;
    house.say("meter-2", "meter", json!({ "power": 1000 })).await;
    in_time(recorded.recv()).await.unwrap();
    house.say("hall", "climate", json!({ "temperature": 20.5, "humidity": 41 })).await;
    admin.post_raw("/api/v1/devices/hall/streams/climate", "warm", "application/json").await.expect(202);
    house.quarantine(1).await;
    house.latest("hall", "humidity").await;

    let view = until(async || {
        let view = admin.get("/api/v1/overview").await.expect(200);
        // The row of the alert is one of them.
        (view["readings_per_minute"] == 6).then_some(view)
    })
    .await;
    for (name, count) in [
        ("devices", 4),
        ("devices_online", 4),
        ("streams", 4),
        ("pipelines_running", 1),
        ("alerts_open", 1),
        ("alerts_firing", 0),
        ("quarantined", 1),
        ("outbound_connections", 0),
    ] {
        assert_eq!(view[name], count, "{name}: {view}");
    }
    // Meters: -1000 W and 1000 W; the roof gives 2000 W, and the homes use what both give.
    assert_eq!(view["energy"], json!({"solar_kw": 2.0, "home_kw": 2.0, "grid_kw": 0.0}));
    assert_eq!(
        view["rooms"],
        json!([{"site": null, "device": "hall", "temperature": 20.5, "humidity": 41.0}])
    );
    let texts: Vec<&str> =
        view["activity"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(texts.contains(&"hot") && texts.contains(&"sent to quarantine: not json"), "{texts:?}");
    assert!(
        texts.contains(&"4 devices seen for the first time"),
        "one line for those of a minute: {texts:?}"
    );

    house.clock.advance_micros(16 * 60 * 1_000_000);
    let later = admin.get("/api/v1/overview").await.expect(200);
    assert_eq!(
        (later["energy"].clone(), later["rooms"].clone()),
        (Value::Null, json!([])),
        "old values are no news"
    );
    assert_eq!((later["devices_online"].clone(), later["readings_per_minute"].clone()), (json!(0), json!(0)));
}

#[tokio::test]
async fn an_empty_hub_has_a_first_screen_too() {
    let house = House::new().await;
    let view = house.admin().get("/api/v1/overview").await.expect(200);
    assert_eq!((view["devices"].clone(), view["energy"].clone()), (json!(0), Value::Null));
    assert_eq!(
        (view["activity"].clone(), view["version"].as_str()),
        (json!([]), Some(env!("CARGO_PKG_VERSION")))
    );
}

#[tokio::test]
async fn a_hub_is_ready_when_it_has_started_and_its_disk_has_room() {
    let house = House::new().await;
    house.stranger().get("/readyz").await.expect(200);
    house.app.set_started(false);
    let answer = house.stranger().get("/readyz").await;
    assert_eq!(answer.problem(503, "not_ready")["detail"], "the hub is starting");
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(house.stranger().get("/healthz").await.expect(200), json!({"status": "ok"}));

    let options =
        Options { data_dir: Some(PathBuf::from("/")), disk_free_bytes_min: u64::MAX, ..Options::default() };
    let full = House::with_options(options).await;
    let problem = full.stranger().get("/readyz").await.problem(503, "not_ready");
    assert!(problem["detail"].as_str().unwrap().contains("MiB free on the data disk"), "{problem}");
}

#[tokio::test]
async fn devices_are_told_to_connect_where_the_page_was_opened() {
    let house = House::new().await;
    let ask = async |host: &str| house.admin().with("host", host).get("/api/v1/connect").await.expect(200);
    let here = ask("hub.local:8080").await;
    assert_eq!(
        here,
        json!({
            "mqtt": {"host": "hub.local", "port": 1883, "tls_port": null, "websocket_url": "ws://hub.local:8080/mqtt"},
            "http": {"url": "http://hub.local:8080", "tls_port": null},
            "topic_template": "devices/{device}/{stream}",
            "ca_available": false,
        })
    );
    assert_eq!(ask("[::1]:8080").await["mqtt"]["host"], "[::1]");
    assert_eq!(ask("[::1]").await["mqtt"]["host"], "[::1]");
}
