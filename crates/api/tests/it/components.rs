//! Components over the API: brought by those who may write, called wherever SQL is, told by what they are.

use serde_json::{Value, json};
use springhouse_policy::Scope;

use crate::client::{Answer, Client};
use crate::house::{House, until};

const WASM: &str = "application/wasm";

/// `tenfold(x)`, which fails for what is negative, told by `message`.
fn component(message: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (data (i32.const 64) "{message}")
                (func (export "tenfold") (param f64) (result i32)
                    (i32.store8 (i32.const 16) (f64.lt (local.get 0) (f64.const 0)))
                    (f64.store (i32.const 24) (f64.mul (local.get 0) (f64.const 10)))
                    (if (f64.lt (local.get 0) (f64.const 0)) (then
                        (i32.store (i32.const 24) (i32.const 64))
                        (i32.store (i32.const 28) (i32.const {length}))))
                    (i32.const 16)))
            (core instance $i (instantiate $m))
            (func (export "tenfold") (param "x" f64) (result (result f64 (error string)))
                (canon lift (core func $i "tenfold") (memory (core memory $i "memory")))))"#,
        length = message.len()
    );
    wat::parse_str(text).unwrap()
}

async fn bring(client: &Client, bytes: Vec<u8>) -> Answer {
    client.post_raw("/api/v1/components", bytes, WASM).await
}

#[tokio::test]
async fn a_component_means_the_same_in_pipelines_previews_queries_and_patterns() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    bring(&house.admin(), component("below zero")).await.expect(201);
    house.sql("CREATE PIPELINE p INTO p_rows AS SELECT device, tenfold(power) AS power FROM meter").await;
    for (second, power) in [(1, 2.5), (2, -1.0), (3, 4.0)] {
        let ts = format!("2026-01-01T00:00:{second:02}Z");
        house.say("a", "meter", json!({ "ts": ts, "power": power })).await;
    }
    let live = until(async || {
        let rows = house.rows("SELECT power FROM p_rows ORDER BY ts").await;
        (rows.as_array().unwrap().len() == 2).then_some(rows)
    })
    .await;
    assert_eq!(live, json!([[25.0], [40.0]]));
    let held = house.quarantine(1).await;
    let detail = held["items"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("tenfold(): below zero; pipeline `p`, version 1"), "{detail}");

    let query = "SELECT tenfold(power) FROM meter WHERE tenfold(abs(power)) > 20 AND power > 0 ORDER BY ts";
    let asked = house.admin().post("/api/v1/sql", json!({ "query": query })).await.expect(200);
    assert_eq!(
        (&asked["rows"], &asked["columns"][0]["name"]),
        (&json!([[25.0], [40.0]]), &json!("tenfold(power)"))
    );
    let pattern =
        "SELECT x FROM meter MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts MEASURES tenfold(up.power) AS x
                   PATTERN (low up) DEFINE low AS power < 0, up AS tenfold(abs(up.power)) > 30)";
    assert_eq!(house.rows(pattern).await, json!([[40.0]]));
    let failing = json!({ "query": "SELECT tenfold(power) FROM meter" });
    let problem = house.admin().post("/api/v1/sql", failing).await;
    assert!(problem.text().contains("tenfold(): below zero"), "{}", problem.text());
    let preview = json!({ "sql": "SELECT device, tenfold(power) AS tenfold FROM meter" });
    let preview = house.admin().post("/api/v1/pipelines/preview", preview).await.expect(200);
    assert_eq!(preview["rows"], json!([["a", 25.0], ["a", 40.0]]));
}

#[tokio::test]
async fn functions_are_told_with_their_component_and_who_goes_by_which() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    let admin = house.admin();
    let made = bring(&admin, component("below zero")).await.expect(201);
    let [function] = made.as_array().unwrap().as_slice() else { panic!("{made}") };
    assert_eq!((&function["language"], &function["version"]), (&json!("wasm"), &json!(1)));
    assert_eq!(function["signature"], "tenfold(x DOUBLE) RETURNS DOUBLE");
    let digest = function["component"].as_str().unwrap();
    assert!(digest.len() == 64 && function["sql"].as_str().unwrap().contains(digest), "{function}");
    house.sql("CREATE PIPELINE p INTO p_rows AS SELECT device, tenfold(power) AS power FROM meter").await;
    assert_eq!(bring(&admin, component("below zero")).await.expect(201), json!([with_user(function)]));
    let other = bring(&admin, component("too cold")).await.expect(201);
    assert_eq!((&other[0]["version"], &other[0]["used_by"][0]["is_present"]), (&json!(2), &json!(false)));
    assert_ne!(other[0]["component"], function["component"]);
    house.sql("CREATE FUNCTION as_it_is(x DOUBLE) RETURNS DOUBLE RETURN x").await;
    let plain = admin.get("/api/v1/functions/as_it_is").await.expect(200);
    assert_eq!((&plain["language"], &plain["component"]), (&json!("sql"), &Value::Null));
}

/// The same function once `p` goes by it.
fn with_user(function: &Value) -> Value {
    let mut function = function.clone();
    function["used_by"] = json!([{ "pipeline": "p", "version": 1, "is_present": true }]);
    function
}

#[tokio::test]
async fn who_may_only_read_brings_nothing_and_what_is_no_component_is_refused() {
    let house = House::new().await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    bring(&reader, component("below zero")).await.problem(403, "missing_scope");
    let problem = bring(&house.admin(), b"(component)".to_vec()).await.problem(400, "invalid_sql");
    assert_eq!(problem["detail"], "this is no WebAssembly");
    assert_eq!(problem["hint"], "a component begins with the bytes 00 61 73 6d");
    let large = vec![0; 49 << 20];
    let problem = bring(&house.admin(), large).await.problem(400, "invalid_sql");
    assert!(problem["detail"].as_str().unwrap().starts_with("the component has 51380224 bytes"), "{problem}");
    bring(&house.admin(), vec![0; 65 << 20]).await.problem(413, "too_large");
    assert_eq!(house.admin().get("/api/v1/functions").await.expect(200), json!([]));
}
