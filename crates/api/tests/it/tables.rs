//! Reference tables over the API: rows are sent, looked up live and over history, refused, read again.

use std::fs;

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use springhouse_policy::Scope;

use crate::client::Answer;
use crate::house::{House, until};

const ROOMS: &str =
    "CREATE TABLE rooms (device TEXT, room TEXT, limit_c DOUBLE UNIT '°C', PRIMARY KEY (device))";
const ROWS: &str = "/api/v1/tables/rooms/rows";

async fn put(house: &House, rows: &str, kind: &str) -> Answer {
    house.admin().send(Method::PUT, ROWS, Body::from(rows.to_owned()), Some(kind)).await
}

#[tokio::test]
async fn rows_that_were_sent_are_in_alerts_and_in_queries() {
    let house = House::new().await;
    house.sql("CREATE STREAM climate (temperature DOUBLE)").await;
    house.sql(ROOMS).await;
    house.sql(
        "CREATE ALERT too_hot AS SELECT c.device, r.room, c.temperature FROM climate c JOIN rooms r ON r.device = c.device
         WHERE c.temperature > r.limit_c",
    )
    .await;
    let sent = put(&house, "device,room,limit_c\nc1,kitchen,25\nc2,bath,\n", "text/csv; charset=utf-8").await;
    assert_eq!(sent.expect(200), json!({ "changed": true, "version": 1, "rows": 2 }));
    let again = put(
        &house,
        r#"{"device":"c2","room":"bath"}
{"device":"c1","room":"kitchen","limit_c":25}"#,
        "application/x-ndjson",
    )
    .await;
    assert_eq!(again.expect(200), json!({ "changed": false, "version": 1, "rows": 2 }));
    house.say("c1", "climate", json!({ "temperature": 26 })).await;
    house.say("c2", "climate", json!({ "temperature": 99 })).await;
    let fired = until(async || {
        let alerts = house.admin().get("/api/v1/alerts").await.expect(200);
        let items = alerts["events"].as_array().unwrap().clone();
        (!items.is_empty()).then_some(items)
    })
    .await;
    assert_eq!((fired.len(), &fired[0]["key"]), (1, &json!("c1")));
    assert_eq!(
        house.rows("SELECT room, limit_c FROM rooms ORDER BY room").await,
        json!([["bath", null], ["kitchen", 25.0]])
    );
    let joined = "SELECT c.device, r.room FROM climate c LEFT JOIN rooms r ON r.device = c.device ORDER BY 1";
    assert_eq!(house.rows(joined).await, json!([["c1", "kitchen"], ["c2", "bath"]]));
    let told = house.sql("DROP TABLE IF EXISTS nothing").await;
    assert_eq!(told["message"], "table `nothing` does not exist");
    house.admin().delete("/api/v1/tables/rooms").await.problem(409, "conflict");
}

#[tokio::test]
async fn one_text_means_the_same_live_and_over_history_at_the_time_of_the_row() {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    house
        .sql("CREATE TABLE limits (device TEXT, since TIMESTAMP, most DOUBLE, PRIMARY KEY (device), VALID FROM since)")
        .await;
    let rows = "device,since,most\na,2026-01-01T00:00:10Z,1\na,2026-01-01T00:00:20Z,2\nb,2026-01-01,7\n";
    let path = "/api/v1/tables/limits/rows";
    house.admin().send(Method::PUT, path, Body::from(rows), Some("text/csv")).await.expect(200);
    let select = "SELECT m.ts, m.device, m.power, l.most FROM meter m
                  LEFT JOIN limits FOR SYSTEM_TIME AS OF m.ts l ON l.device = m.device AND l.most < 5";
    house.sql(&format!("CREATE PIPELINE seen INTO seen_rows AS {select}")).await;
    for (device, second) in [("a", 9), ("a", 10), ("a", 19), ("a", 20), ("b", 30), ("c", 30)] {
        let ts = format!("2026-01-01T00:00:{second:02}Z");
        house.say(device, "meter", json!({ "ts": ts, "power": second })).await;
    }
    let expected = json!([
        ["a", 9.0, null],
        ["a", 10.0, 1.0],
        ["a", 19.0, 1.0],
        ["a", 20.0, 2.0],
        ["b", 30.0, null],
        ["c", 30.0, null]
    ]);
    let live = until(async || {
        let rows = house.rows("SELECT device, power, most FROM seen_rows ORDER BY device, power").await;
        (rows.as_array().unwrap().len() == 6).then_some(rows)
    })
    .await;
    assert_eq!(live, expected);
    let over_history = format!("SELECT device, power, most FROM ({select}) ORDER BY device, power");
    assert_eq!(house.rows(&over_history).await, expected);
    let answer = house
        .admin()
        .post(
            "/api/v1/pipelines/backtest",
            json!({ "statement": select, "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z" }),
        )
        .await;
    assert_eq!(
        answer.text().lines().filter(|line| line.contains("\"most\":1.0")).count(),
        2,
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_place_and_shown() {
    let house = House::new().await;
    house.sql(ROOMS).await;
    put(&house, "device,room,limit_c\nc1,kitchen,25\n", "text/csv").await.expect(200);
    let refused =
        put(&house, "device,room,limit_c\nc1,kitchen,warm\n", "text/csv").await.problem(400, "invalid_rows");
    let detail = "the rows, line 2: column `limit_c`: expected a number such as 21.5, found `warm`";
    assert_eq!(refused["detail"], detail);
    put(&house, "x", "text/html").await.problem(415, "unknown_format");
    let table = house.admin().get("/api/v1/tables/rooms").await.expect(200);
    assert_eq!((&table["version"], &table["rows"], &table["error"]), (&json!(1), &json!(1), &json!(detail)));
    assert_eq!(
        table["columns"][2],
        json!({ "name": "limit_c", "type": "float", "required": false, "unit": "°C" })
    );
    assert_eq!((&table["key"], &table["source"]), (&json!(["device"]), &json!("given")));
    house.admin().get("/api/v1/tables/none").await.problem(404, "not_found");
    house.admin().post("/api/v1/tables/rooms/refresh", json!({})).await.problem(409, "conflict");
    let reader = house.with_scopes(&[Scope::Read]).await;
    reader.get("/api/v1/tables").await.expect(200);
    reader
        .send(Method::PUT, ROWS, Body::from("device\n"), Some("text/csv"))
        .await
        .problem(403, "missing_scope");
}

#[tokio::test]
async fn a_table_of_a_file_and_one_of_history_are_read_again() {
    let house = House::new().await;
    fs::create_dir_all(&house.import).unwrap();
    fs::write(house.import.join("rooms.csv"), "device,room,limit_c\nc1,kitchen,25\n").unwrap();
    house.sql(&format!("{ROOMS} FROM 'rooms.csv' REFRESH EVERY INTERVAL '1' HOUR")).await;
    house.sql("CREATE STREAM meter (power DOUBLE)").await;
    house.say("a", "meter", json!({ "ts": "2026-01-01T00:00:00Z", "power": 3 })).await;
    let create =
        "CREATE TABLE usual (device TEXT, usual DOUBLE, PRIMARY KEY (device)) REFRESH EVERY INTERVAL '1' DAY
                  AS SELECT device, avg(power) AS usual FROM meter GROUP BY device";
    until(async || (house.rows("SELECT count(*) FROM meter").await == json!([[1]])).then_some(())).await;
    assert_eq!(house.sql(create).await["message"], "table `usual` is there, with 1 rows");
    house.say("a", "meter", json!({ "ts": "2026-01-01T00:00:01Z", "power": 5 })).await;
    until(async || (house.rows("SELECT count(*) FROM meter").await == json!([[2]])).then_some(())).await;
    let refreshed = house.admin().post("/api/v1/tables/usual/refresh", json!({})).await.expect(200);
    assert_eq!(refreshed, json!({ "changed": true, "version": 2, "rows": 1 }));
    assert_eq!(house.rows("SELECT usual FROM usual").await, json!([[4.0]]));
    let table = house.admin().get("/api/v1/tables/usual").await.expect(200);
    assert_eq!((&table["source"], &table["refresh_seconds"]), (&json!("query"), &json!(86_400.0)));
    let refreshed = house.admin().post("/api/v1/tables/rooms/refresh", json!({})).await.expect(200);
    assert_eq!(refreshed["changed"], false);
    fs::remove_file(house.import.join("rooms.csv")).unwrap();
    house.admin().post("/api/v1/tables/rooms/refresh", json!({})).await.problem(400, "invalid_sql");
    let table = house.admin().get("/api/v1/tables/rooms").await.expect(200);
    assert!(table["error"].as_str().unwrap().contains("is no file below"), "{table}");
    assert_eq!(table["rows"], 1);
    house.admin().delete("/api/v1/tables/usual").await.expect(204);
    house
        .admin()
        .post("/api/v1/sql", json!({ "query": "SELECT * FROM usual" }))
        .await
        .problem(400, "invalid_sql");
    let metrics = house.admin().get("/metrics").await;
    assert!(metrics.text().contains("springhouse_table_rows{table=\"rooms\"} 1"), "{}", metrics.text());
    assert!(metrics.text().contains("springhouse_table_failing{table=\"rooms\"} 1"));
}

/// A folder of statements makes tables first, and never drops one.
#[tokio::test]
async fn a_folder_declares_tables_in_front_of_what_looks_them_up() {
    let house = House::new().await;
    let alert = "CREATE ALERT hot AS SELECT c.device, r.room FROM climate c JOIN rooms r ON r.device = c.device WHERE c.temperature > r.limit_c";
    let plan = async |statements: &[&str]| {
        house.admin().post("/api/v1/pipelines/plan", json!({ "statements": statements })).await.expect(200)
    };
    let proposed = plan(&[alert, ROOMS, "CREATE STREAM climate (temperature DOUBLE)"]).await;
    assert_eq!(proposed["errors"], json!([]));
    let steps: Vec<_> = proposed["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["kind"].clone(), step["change"].clone()))
        .collect();
    assert_eq!(
        steps,
        [
            (json!("table"), json!("create")),
            (json!("stream"), json!("create")),
            (json!("alert"), json!("create"))
        ]
    );
    house.sql(ROOMS).await;
    let other = ROOMS.replace("limit_c", "most");
    let proposed = plan(&[&other]).await;
    let error = proposed["errors"][0]["message"].as_str().unwrap();
    assert!(error.starts_with("table `rooms` is there and is another one"), "{error}");
    let proposed = plan(&["CREATE STREAM climate (temperature DOUBLE)"]).await;
    assert_eq!(proposed["drops"], json!([]), "a table that is in no file stays");
    assert_eq!(
        plan(&[&ROOMS.to_lowercase().replace("'°c'", "'°C'")]).await["steps"][0]["change"],
        "unchanged"
    );
}
