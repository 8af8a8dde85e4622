//! Tenants do not meet (each of them has everything of the other's names at hand).

use serde_json::{Value, json};
use springhouse_model::TenantId;
use springhouse_policy::Scope;

use crate::house::{House, in_time, token};
use crate::socket::Socket;

#[tokio::test]
async fn what_one_tenant_has_does_not_exist_for_another() {
    let house = House::new().await;
    let admin = house.admin();
    admin.post("/api/v1/devices", json!({ "id": "lamp-1" })).await.expect(201);
    house.sql("CREATE STREAM light (brightness DOUBLE)").await;
    house.sql("CREATE PIPELINE bright INTO glare AS SELECT ts, device, brightness FROM light").await;
    house.sql("CREATE FUNCTION doubled(x DOUBLE) RETURNS DOUBLE RETURN x * 2").await;
    house.sql("CREATE ALERT dark SEVERITY info AS SELECT ts, device, brightness FROM light").await;
    let mut recorded = house.recorder.recorded();
    house.say("lamp-1", "light", json!({ "brightness": 1 })).await;
    in_time(recorded.recv()).await.unwrap();
    admin.post_raw("/api/v1/devices/lamp-1/streams/light", "?", "application/json").await.expect(202);
    let quarantined = house.quarantine(1).await["items"][0]["id"].clone();
    let made = admin.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["read"] })).await.expect(201);
    let alert = admin.get("/api/v1/alerts").await.expect(200)["events"][0]["id"].clone();

    let secret = token(&house.meta, "other".parse::<TenantId>().unwrap(), vec![Scope::Admin]).await;
    let other = house.bearer(&secret);
    for path in ["streams", "devices", "pipelines", "functions"] {
        assert_eq!(other.get(&format!("/api/v1/{path}")).await.expect(200), json!([]), "{path}");
    }
    assert_eq!(other.get("/api/v1/alerts").await.expect(200), json!({"rules": [], "events": []}));
    assert_eq!(other.get("/api/v1/quarantine").await.expect(200), json!({"items": [], "counts": []}));
    assert_eq!(other.get("/api/v1/tokens").await.expect(200).as_array().unwrap().len(), 1);
    let overview = other.get("/api/v1/overview").await.expect(200);
    assert_eq!((overview["devices"].clone(), overview["activity"].clone()), (json!(0), json!([])));
    for path in [
        "streams/light",
        "streams/light/schema",
        "streams/light/readings",
        "devices/lamp-1",
        "devices/lamp-1/series?stream=light&property=brightness",
        "pipelines/bright",
        "pipelines/bright/status",
        "functions/doubled",
    ] {
        other.get(&format!("/api/v1/{path}")).await.problem(404, "not_found");
    }
    for path in ["streams/light", "devices/lamp-1/token", "pipelines/bright", "functions/doubled"] {
        other.delete(&format!("/api/v1/{path}")).await.problem(404, "not_found");
    }
    other.delete(&format!("/api/v1/tokens/{}", made["id"].as_str().unwrap())).await.problem(404, "not_found");
    for path in
        ["streams/light/approve", "devices/lamp-1/refuse", "devices/lamp-1/token", "pipelines/bright/pause"]
    {
        other.post(&format!("/api/v1/{path}"), Value::Null).await.problem(404, "not_found");
    }
    let acknowledge = format!("/api/v1/alerts/{}/acknowledge", alert.as_str().unwrap());
    other.post(&acknowledge, Value::Null).await.problem(404, "not_found");
    let purge = json!({ "ids": [quarantined] });
    assert_eq!(other.post("/api/v1/quarantine/purge", purge).await.expect(200)["purged"], 0);
    let sql = async |query: &str| other.post("/api/v1/sql", json!({ "query": query })).await;
    let unknown = sql("SELECT * FROM light").await.problem(400, "invalid_sql");
    assert_eq!(unknown["detail"], "stream `light` does not exist");
    for table in ["devices", "twin"] {
        let count = sql(&format!("SELECT count(*) FROM {table}")).await.expect(200);
        assert_eq!(count["rows"], json!([[0]]), "{table}");
    }
    house.quarantine(1).await;

    let mut tail = Socket::open(&house, &secret, "/api/v1/tail?stream=*").await.unwrap();
    house.say("lamp-1", "light", json!({ "brightness": 2 })).await;
    other.post("/api/v1/devices/lamp-1/streams/light", json!({ "brightness": 3 })).await.expect(202);
    assert_eq!(tail.frame().await["rows"][0]["brightness"], 3, "the same names, and only one's own rows");
}
