//! Streams, their schemas, their readings, and the devices that send them.

use serde_json::{Value, json};

use crate::house::House;

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn climate() -> Value {
    json!({
        "type": "object",
        "properties": {
            "temperature": {"type": "number", "unit": "°C"},
            "mode": {"type": "string", "description": "heat or cool"},
        },
        "required": ["temperature"],
        "additionalProperties": false,
    })
}

#[tokio::test]
async fn a_stream_is_declared_by_a_json_schema() {
    let house = House::new().await;
    let admin = house.admin();
    let draft = json!({ "name": "climate", "json_schema": climate(), "watermark_seconds": 30 });
    let made = admin.post("/api/v1/streams", draft.clone()).await.expect(201);
    assert_eq!((made["state"].clone(), made["origin"].clone()), (json!("approved"), json!("declared")));
    assert_eq!((made["schema_version"].clone(), made["watermark_seconds"].clone()), (json!(1), json!(30.0)));
    let columns = made["columns"].as_array().unwrap();
    let temperature = columns.iter().find(|column| column["name"] == "temperature").unwrap();
    assert_eq!(
        temperature,
        &json!({"name": "temperature", "type": "float", "unit": "°C", "description": null, "required": true, "system": false})
    );
    assert_eq!(names(&made["columns"]), ["ts", "device", "site", "temperature", "mode", "_received", "_id"]);
    let again = admin.post("/api/v1/streams", draft).await.problem(409, "conflict");
    assert!(again["hint"].as_str().unwrap().contains("/schema"));
    assert_eq!(admin.get("/api/v1/streams/climate").await.expect(200)["name"], "climate");
}

#[tokio::test]
async fn a_draft_that_cannot_be_is_refused() {
    let house = House::new().await;
    let make = async |draft: Value| house.admin().post("/api/v1/streams", draft).await;
    make(json!({ "name": "Climate" })).await.problem(422, "invalid_body");
    make(json!({ "name": "_mine" })).await.problem(400, "invalid_name");
    make(json!({ "name": "x", "watermark_seconds": -1 })).await.problem(422, "invalid_body");
    make(json!({ "name": "x", "watermark_seconds": 1e9 })).await.problem(422, "invalid_body");
    make(json!({ "name": "x", "json_schema": {"type": "string"} })).await.problem(422, "invalid_schema");
    assert_eq!(house.admin().get("/api/v1/streams").await.expect(200), json!([]));
}

#[tokio::test]
async fn the_list_of_streams_says_how_they_flow() {
    let house = House::new().await;
    house.say("a", "meter", json!([{ "power": 1 }, { "power": 2 }])).await;
    house.say("b", "meter", json!({ "power": 3 })).await;
    house.say("a", "light", json!({ "on": true })).await;
    house.latest("a", "on").await;
    // Asking for rows waits until the lake has them.
    house.rows("SELECT count(*) FROM meter").await;
    let admin = house.admin();
    let list = crate::house::until(async || {
        let list = admin.get("/api/v1/streams").await.expect(200);
        (list[0]["rows_per_minute"] == 1 && list[1]["rows_per_minute"] == 3).then_some(list)
    })
    .await;
    assert_eq!(names(&list), ["light", "meter"], "and not the hub's own");
    let meter = &list[1];
    assert_eq!(meter["origin"], "inferred");
    assert_eq!((meter["rows"].clone(), meter["devices"].clone()), (json!(3), json!(2)));
    assert_eq!(meter["last_at"], house.now().to_string());
    house.clock.advance_micros(61_000_000);
    assert_eq!(admin.get("/api/v1/streams/meter").await.expect(200)["rows_per_minute"], 0);
}

#[tokio::test]
async fn readings_are_listed_newest_first() {
    let house = House::new().await;
    for (device, minute) in [("a", 0), ("b", 1), ("a", 2), ("a", 3)] {
        let ts = format!("2026-11-01T12:0{minute}:00Z");
        house.say(device, "meter", json!({ "ts": ts, "power": minute })).await;
    }
    let admin = house.admin();
    let powers = async |parameters: &str| {
        let answer = admin.get(&format!("/api/v1/streams/meter/readings?{parameters}")).await.expect(200);
        let column = names(&answer["columns"]).iter().position(|name| *name == "power").unwrap();
        let rows = answer["rows"].as_array().unwrap().iter();
        rows.map(|row| row[column].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(powers("").await, [3, 2, 1, 0]);
    assert_eq!(powers("limit=2").await, [3, 2]);
    assert_eq!(powers("device=a").await, [3, 2, 0]);
    assert_eq!(powers("from=2026-11-01T12:01:00Z&to=2026-11-01T12:03:00Z").await, [2, 1]);
    assert_eq!(powers("from=2026-11-01T13:01:00%2B01:00&device=a").await, [3, 2]);
    admin.get("/api/v1/streams/nowhere/readings").await.problem(404, "not_found");
    admin.get("/api/v1/streams/_quarantine/readings").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_schema_is_changed_by_a_version_that_old_readings_fit() {
    let house = House::new().await;
    let admin = house.admin();
    admin.post("/api/v1/streams", json!({ "name": "climate", "json_schema": climate() })).await.expect(201);
    house.say("a", "climate", json!({ "temperature": 20.5 })).await;
    let path = "/api/v1/streams/climate/schema";
    let mut wider = climate();
    wider["properties"]["humidity"] = json!({"type": "number", "unit": "%"});
    let answer = admin.put(path, wider).await.expect(200);
    assert_eq!(answer["version"], 2);
    assert_eq!(answer["versions"].as_array().unwrap().len(), 2);
    assert_eq!(answer["json_schema"]["properties"]["humidity"]["x-unit"], "%");
    assert_eq!(admin.get(path).await.expect(200), answer);
    house.say("a", "climate", json!({ "temperature": 21, "humidity": 40 })).await;
    let query = "SELECT temperature, humidity FROM climate ORDER BY temperature";
    assert_eq!(house.rows(query).await, json!([[20.5, null], [21.0, 40.0]]));

    let mut narrower = climate();
    narrower["properties"]["temperature"] = json!({"type": "string"});
    admin.put(path, narrower).await.problem(409, "incompatible_schema");
    admin.put(path, json!({"type": "array"})).await.problem(422, "invalid_schema");
    assert_eq!(admin.get(path).await.expect(200)["version"], 2);
}

#[tokio::test]
async fn a_stream_in_use_is_not_dropped() {
    let house = House::new().await;
    let admin = house.admin();
    house.say("a", "meter", json!({ "power": 1 })).await;
    house.sql("CREATE PIPELINE peaks INTO peak AS SELECT ts, device, power FROM meter").await;
    let problem = admin.delete("/api/v1/streams/meter").await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("peaks"), "{problem}");
    admin.delete("/api/v1/pipelines/peaks").await.expect(204);
    admin.delete("/api/v1/streams/meter").await.expect(204);
    admin.get("/api/v1/streams/meter").await.problem(404, "not_found");
    admin.delete("/api/v1/streams/meter").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_device_shows_its_last_values_and_its_streams() {
    let house = House::new().await;
    let admin = house.admin();
    admin.post("/api/v1/devices", json!({ "id": "a", "site": "home-01" })).await.expect(201);
    house.say("a", "climate", json!({ "temperature": 20.5, "mode": "heat" })).await;
    house.say("a", "climate", json!({ "temperature": 21.5 })).await;
    house.say("a", "meter", json!({ "power": 7 })).await;
    house.latest("a", "power").await;
    let mut shown = admin.get("/api/v1/devices/a").await.expect(200);
    assert_eq!(shown["site"], "home-01");
    assert_eq!((shown["state"].clone(), shown["online"].clone()), (json!("approved"), json!(true)));
    assert_eq!(shown["streams"], json!(["climate", "meter"]));
    assert_eq!(shown["last_seen"], house.now().to_string());
    assert_eq!(shown["tokens"].as_array().unwrap().len(), 1);
    let latest = shown["latest"].as_array_mut().unwrap();
    latest.iter_mut().for_each(|value| drop(value.as_object_mut().unwrap().remove("ts")));
    latest.sort_by_key(|value| value["property"].as_str().unwrap().to_owned());
    let value = |stream: &str, property: &str, value: Value| json!({"stream": stream, "property": property, "value": value, "unit": null});
    assert_eq!(
        latest,
        &[
            value("climate", "mode", json!("heat")),
            value("meter", "power", json!(7)),
            value("climate", "temperature", json!(21.5)),
        ]
    );
    house.clock.advance_micros(121_000_000);
    assert_eq!(admin.get("/api/v1/devices").await.expect(200)[0]["online"], false);
    admin.get("/api/v1/devices/nobody").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_device_is_registered_once_and_its_token_can_be_replaced() {
    let house = House::new().await;
    let admin = house.admin();
    let path = "/api/v1/devices/lamp-1/streams/light";
    let first = house.device("lamp-1").await;
    admin.post("/api/v1/devices", json!({ "id": "lamp-1" })).await.problem(409, "conflict");
    admin.post("/api/v1/devices", json!({ "id": "a/b" })).await.problem(422, "invalid_body");
    let made = admin.post("/api/v1/devices/lamp-1/token", Value::Null).await.expect(200);
    let second = house.bearer(made["token"].as_str().unwrap());
    first.post(path, json!({ "on": true })).await.problem(401, "unauthenticated");
    second.post(path, json!({ "on": true })).await.expect(202);
    admin.delete("/api/v1/devices/lamp-1/token").await.expect(204);
    second.post(path, json!({ "on": true })).await.problem(401, "unauthenticated");
    admin.delete("/api/v1/devices/lamp-1/token").await.problem(404, "not_found");
    admin.post("/api/v1/devices/nobody/token", Value::Null).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_series_keeps_the_peaks() {
    let house = House::new().await;
    let noon: i64 = 1_793_534_400; // 2026-11-01T12:00:00Z
    let readings: Vec<Value> = (0..120_i64)
        .map(|second| json!({ "ts": noon + second, "power": if second == 70 { 900 } else { second } }))
        .collect();
    house.say("a", "meter", json!(readings)).await;
    let admin = house.admin();
    let path = format!(
        "/api/v1/devices/a/series?stream=meter&property=power&from={noon}&to={}&points=2",
        noon + 120
    );
    let series = admin.get(&path).await.expect(200);
    assert_eq!(series["ts"], json!([noon * 1_000, (noon + 60) * 1_000]));
    assert_eq!((series["min"].clone(), series["max"].clone()), (json!([0.0, 60.0]), json!([59.0, 900.0])));
    assert_eq!(series["avg"][0], 29.5);
    let ask = async |parameters: &str| admin.get(&format!("/api/v1/devices/a/series?{parameters}")).await;
    ask("stream=meter").await.problem(400, "invalid_query");
    ask("stream=meter&property=power&from=2&to=1").await.problem(400, "invalid_query");
    ask("stream=nowhere&property=power").await.problem(404, "not_found");
    ask("stream=meter&property=voltage").await.problem(404, "not_found");
}
