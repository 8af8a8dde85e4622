//! The inbox of what did not fit.

use serde_json::{Value, json};

use crate::house::{House, until};

const REPLAY: &str = "/api/v1/quarantine/replay";
const PURGE: &str = "/api/v1/quarantine/purge";

/// A house with two messages of `meter` that have one property too many, and one of `light` that is no JSON.
async fn with_three() -> House {
    let house = House::new().await;
    let admin = house.admin();
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    house.sql("CREATE STREAM light (on BOOLEAN)").await;
    for (path, payload) in [
        ("/api/v1/devices/a/streams/meter", r#"{"power": 1, "voltage": 230}"#),
        ("/api/v1/devices/b/streams/meter", r#"{"power": 2, "voltage": 231}"#),
        ("/api/v1/devices/a/streams/light", "on"),
    ] {
        admin.post_raw(path, payload, "application/json").await.expect(202);
        house.clock.advance_micros(1_000_000);
    }
    house.quarantine(3).await;
    house
}

async fn count(house: &House, parameters: &str) -> usize {
    let answer = house.admin().get(&format!("/api/v1/quarantine?{parameters}")).await.expect(200);
    answer["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_inbox_says_what_did_not_fit_and_why() {
    let house = with_three().await;
    let answer = house.quarantine(3).await;
    let newest = &answer["items"][0];
    assert_eq!(
        (newest["stream"].as_str(), newest["device"].as_str(), newest["reason"].as_str()),
        (Some("light"), Some("a"), Some("not_json"))
    );
    assert_eq!((newest["payload"].as_str(), newest["payload_encoding"].as_str()), (Some("on"), Some("text")));
    assert_eq!(newest["topic"], "devices/a/light");
    let older = &answer["items"][1];
    assert!(older["detail"].as_str().unwrap().contains("`voltage`"), "{older}");
    let mut counts = answer["counts"].as_array().unwrap().clone();
    counts.sort_by_key(|count| count["stream"].as_str().unwrap().to_owned());
    assert_eq!(
        json!(counts),
        json!([
            {"stream": "light", "reason": "not_json", "count": 1},
            {"stream": "meter", "reason": "unknown_field", "count": 2},
        ])
    );
}

#[tokio::test]
async fn the_inbox_is_filtered_and_paged() {
    let house = with_three().await;
    assert_eq!(count(&house, "stream=meter").await, 2);
    assert_eq!(count(&house, "device=a").await, 2);
    assert_eq!(count(&house, "reason=not_json").await, 1);
    assert_eq!(count(&house, "stream=meter&device=b").await, 1);
    assert_eq!(count(&house, "limit=2").await, 2);
    let page = house.admin().get("/api/v1/quarantine?limit=1").await.expect(200);
    let before = page["items"][0]["received"].as_str().unwrap();
    assert_eq!(count(&house, &format!("before={before}")).await, 2);
    house.admin().get("/api/v1/quarantine?stream=Not%20One").await.problem(400, "invalid_name");
}

#[tokio::test]
async fn a_payload_that_is_no_text_is_shown_in_base64() {
    let house = House::new().await;
    let path = "/api/v1/devices/a/streams/meter";
    house.admin().post_raw(path, vec![0xff, 0x00], "application/octet-stream").await.expect(202);
    let item = house.quarantine(1).await["items"][0].clone();
    assert_eq!((item["payload"].as_str(), item["payload_encoding"].as_str()), (Some("/wA="), Some("base64")));
}

#[tokio::test]
async fn messages_are_replayed_once_their_schema_fits() {
    let house = with_three().await;
    let admin = house.admin();
    let replay = async |choice: Value| admin.post(REPLAY, choice).await.expect(200);
    let all = json!({ "stream": "meter" });
    assert_eq!(replay(all.clone()).await, json!({"replayed": 0, "still_failing": 2}));
    let schema = json!({
        "type": "object",
        "properties": {"power": {"type": "number"}, "voltage": {"type": "number"}},
        "additionalProperties": false,
    });
    admin.put("/api/v1/streams/meter/schema", schema).await.expect(200);
    let first = house.quarantine(3).await["items"][2]["id"].clone();
    assert_eq!(replay(json!({ "ids": [first] })).await, json!({"replayed": 1, "still_failing": 0}));
    assert_eq!(house.rows("SELECT device, voltage FROM meter").await, json!([["a", 230.0]]));
    assert_eq!(replay(all.clone()).await, json!({"replayed": 1, "still_failing": 0}));
    assert_eq!(replay(all).await, json!({"replayed": 0, "still_failing": 0}), "each of them once");
    assert_eq!(house.rows("SELECT count(*) FROM meter").await, json!([[2]]));
    let left = house.quarantine(1).await;
    assert_eq!(left["items"][0]["stream"], "light");
}

#[tokio::test]
async fn messages_are_purged_for_good() {
    let house = with_three().await;
    let admin = house.admin();
    let purge = async |choice: Value| admin.post(PURGE, choice).await.expect(200);
    assert_eq!(purge(json!({ "stream": "nowhere" })).await, json!({"purged": 0}));
    assert_eq!(purge(json!({ "stream": "meter", "device": "a" })).await, json!({"purged": 1}));
    let light = house.quarantine(2).await["items"][0]["id"].clone();
    assert_eq!(purge(json!({ "ids": [light] })).await, json!({"purged": 1}));
    assert_eq!(purge(json!({ "before": house.now() })).await, json!({"purged": 1}));
    let left = until(async || Some(admin.get("/api/v1/quarantine").await.expect(200))).await;
    assert_eq!(left, json!({"items": [], "counts": []}));
}

#[tokio::test]
async fn nothing_chosen_is_not_everything() {
    let house = with_three().await;
    for path in [REPLAY, PURGE] {
        house.admin().post(path, json!({})).await.problem(422, "nothing_chosen");
        house.admin().post(path, json!({ "ids": [] })).await.expect(200);
        // A word that is mistyped must not widen the choice.
        house
            .admin()
            .post(path, json!({ "stream": "meter", "befor": "x" }))
            .await
            .problem(422, "invalid_body");
    }
    assert_eq!(count(&house, "").await, 3);
}
