//! `/api/v1/sql`: rows in four forms, statements that change something, and errors with their place.

use std::io::Cursor;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};
use springhouse_api::Options;
use springhouse_policy::Scope;

use crate::client::Answer;
use crate::house::House;

const NOON: &str = "2026-01-01T12:00:00Z";

/// Two readings, the second of which has no `note`.
async fn furnished() -> House {
    let house = House::new().await;
    house.sql("CREATE STREAM meter (power DOUBLE, note TEXT)").await;
    house.say("a", "meter", json!({ "ts": NOON, "power": 1.5, "note": "say \"hi\", you" })).await;
    house.say("b", "meter", json!({ "ts": "2026-01-01T12:00:00.250Z", "power": -2 })).await;
    house
}

async fn ask(house: &House, accept: &str, query: &str) -> Answer {
    house.admin().with("accept", accept).post("/api/v1/sql", json!({ "query": query })).await
}

const QUERY: &str = "SELECT ts, device, power, note FROM meter ORDER BY ts";

#[tokio::test]
async fn rows_are_json_for_whoever_asks_for_nothing_else() {
    let house = furnished().await;
    let mut answer = house.sql(QUERY).await;
    let took = answer.as_object_mut().unwrap().remove("took_ms").unwrap();
    assert!(took.as_f64().unwrap() > 0.0);
    assert_eq!(
        answer,
        json!({
            "columns": [
                {"name": "ts", "type": "time"}, {"name": "device", "type": "text"},
                {"name": "power", "type": "float"}, {"name": "note", "type": "text"},
            ],
            "rows": [
                [NOON, "a", 1.5, "say \"hi\", you"],
                ["2026-01-01T12:00:00.250Z", "b", -2.0, null],
            ],
            "row_count": 2,
            "truncated": false,
        })
    );
    let none = house.sql("SELECT power FROM meter WHERE power > 100").await;
    assert_eq!((none["rows"].clone(), none["columns"][0]["name"].as_str()), (json!([]), Some("power")));
}

#[tokio::test]
async fn rows_are_ndjson_csv_or_arrow_for_whoever_accepts_it() {
    let house = furnished().await;
    let ndjson = ask(&house, "application/x-ndjson", QUERY).await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    assert_eq!(
        ndjson.text(),
        concat!(
            r#"{"ts":"2026-01-01T12:00:00Z","device":"a","power":1.5,"note":"say \"hi\", you"}"#,
            "\n",
            r#"{"ts":"2026-01-01T12:00:00.250Z","device":"b","power":-2.0,"note":null}"#,
            "\n"
        )
    );
    let csv = ask(&house, "text/csv", QUERY).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(
        csv.text(),
        concat!(
            "ts,device,power,note\n",
            "2026-01-01T12:00:00Z,a,1.5,\"say \"\"hi\"\", you\"\n",
            "2026-01-01T12:00:00.250Z,b,-2.0,\n"
        )
    );
    let arrow = ask(&house, "application/vnd.apache.arrow.stream", QUERY).await;
    let reader = StreamReader::try_new(Cursor::new(arrow.body), None).unwrap();
    let powers: Vec<f64> = reader
        .map(|batch| batch.unwrap())
        .flat_map(|batch| {
            batch.column_by_name("power").unwrap().as_primitive::<Float64Type>().values().to_vec()
        })
        .collect();
    assert_eq!(powers, [1.5, -2.0]);
}

#[tokio::test]
async fn an_answer_without_rows_still_says_its_columns() {
    let house = furnished().await;
    let query = "SELECT device, power FROM meter WHERE power > 100";
    assert_eq!(ask(&house, "text/csv", query).await.text(), "device,power\n");
    assert_eq!(ask(&house, "application/x-ndjson", query).await.text(), "");
    let arrow = ask(&house, "application/vnd.apache.arrow.stream", query).await;
    let reader = StreamReader::try_new(Cursor::new(arrow.body), None).unwrap();
    assert_eq!(reader.schema().fields().len(), 2);
    assert_eq!(reader.count(), 0);
}

#[tokio::test]
async fn a_form_that_does_not_exist_is_not_acceptable() {
    let house = furnished().await;
    let problem = ask(&house, "application/pdf", QUERY).await.problem(406, "not_acceptable");
    assert!(problem["hint"].as_str().unwrap().contains("text/csv"));
}

#[tokio::test]
async fn json_is_bounded_and_says_so_and_the_other_forms_are_not() {
    let house = House::with_options(Options { rows_max: 3, ..Options::default() }).await;
    let readings: Vec<Value> = (0..5).map(|n| json!({ "n": n })).collect();
    house.say("a", "counter", json!(readings)).await;
    let answer = house.sql("SELECT n FROM counter ORDER BY n").await;
    assert_eq!(answer["rows"], json!([[0], [1], [2]]));
    assert_eq!((answer["row_count"].clone(), answer["truncated"].clone()), (json!(3), json!(true)));
    let exactly = house.sql("SELECT n FROM counter ORDER BY n LIMIT 3").await;
    assert_eq!(exactly["truncated"], false);
    assert_eq!(ask(&house, "application/x-ndjson", "SELECT n FROM counter").await.text().lines().count(), 5);
}

#[tokio::test]
async fn json_is_bounded_in_bytes_too() {
    let house = House::new().await;
    let readings: Vec<Value> = (0..40).map(|n| json!({ "n": n })).collect();
    house.say("a", "counter", json!(readings)).await;
    let query = "SELECT repeat('x', 1048576 + n - n) FROM counter";
    let answer = house.sql(query).await;
    assert_eq!((answer["row_count"].clone(), answer["truncated"].clone()), (json!(32), json!(true)));
    assert_eq!(ask(&house, "application/x-ndjson", query).await.text().lines().count(), 40);
}

#[tokio::test]
async fn devices_and_last_values_are_tables() {
    let house = furnished().await;
    house.latest("b", "power").await;
    let twin = "SELECT device, stream, property, number FROM twin WHERE device = 'b' AND property = 'power'";
    assert_eq!(house.rows(twin).await, json!([["b", "meter", "power", -2.0]]));
    assert_eq!(house.rows("SELECT count(*) FROM devices").await, json!([[2]]));
}

#[tokio::test]
async fn a_statement_that_changes_something_needs_write() {
    let house = House::new().await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    let create = json!({ "query": "CREATE STREAM meter (power DOUBLE)" });
    reader.post("/api/v1/sql", create.clone()).await.problem(403, "missing_scope");
    assert!(house.entry("meter").is_none());
    let writer = house.with_scopes(&[Scope::Write]).await;
    let done = writer.post("/api/v1/sql", create).await.expect(200);
    assert_eq!(done, json!({"statement": "CREATE STREAM", "message": "stream `meter` is there"}));
    for query in ["SHOW STREAMS", "DESCRIBE meter"] {
        let listed = reader.post("/api/v1/sql", json!({ "query": query })).await.expect(200);
        assert!(
            listed["message"].as_str().unwrap().contains("meter") || query == "DESCRIBE meter",
            "{listed}"
        );
    }
    for query in [
        "CREATE PIPELINE p INTO q AS SELECT ts, device, power FROM meter",
        "CREATE ALERT p SEVERITY info AS SELECT ts, device, power FROM meter",
        "DROP STREAM meter",
        "PAUSE PIPELINE p",
        "RESUME PIPELINE p",
        "DROP PIPELINE p",
    ] {
        let answer = reader.post("/api/v1/sql", json!({ "query": query })).await;
        answer.problem(403, "missing_scope");
    }
}

#[tokio::test]
async fn an_error_in_a_statement_points_at_its_place() {
    let house = furnished().await;
    let detail = async |query: &str, status: u16, code: &str| {
        let answer = house.admin().post("/api/v1/sql", json!({ "query": query })).await;
        answer.problem(status, code)["detail"].as_str().unwrap().to_owned()
    };
    let cases = [
        ("CREATE STREAM x (power DOUBLE,\n  other WHAT)", "line 2, column 9"),
        ("CREATE PIPELINE p INTO q\n AS", "line 2"),
        ("", "line 1, column 1"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT power FRO meter", "Line: 1, Column: 18"),
        ("SELECT pwer FROM meter", "pwer"),
        ("SELECT 1 +", ""),
    ];
    for (query, place) in cases {
        let said = detail(query, 400, "invalid_sql").await;
        assert!(said.contains(place), "{query:?}: {said}");
    }
    assert!(detail("SELECT * FROM nowhere", 400, "invalid_sql").await.contains("`nowhere` does not exist"));
    assert!(detail("DROP STREAM nowhere", 404, "not_found").await.contains("nowhere"));
    detail("CREATE STREAM meter (power DOUBLE)", 409, "conflict").await;
}

#[tokio::test]
async fn a_query_cannot_leave_the_tables_of_its_tenant() {
    let house = furnished().await;
    for query in [
        "INSERT INTO meter VALUES (1)",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM _quarantine",
        "SET datafusion.execution.target_partitions = 1",
    ] {
        let answer = house.admin().post("/api/v1/sql", json!({ "query": query })).await;
        assert!(answer.status.is_client_error(), "{query}: {} {}", answer.status, answer.text());
    }
    assert_eq!(house.rows("SELECT count(*) FROM meter").await, json!([[2]]));
}

#[tokio::test]
async fn a_statement_has_a_length() {
    let house = House::new().await;
    let query = format!("SELECT '{}'", "x".repeat(64 * 1024));
    let answer = house.admin().post("/api/v1/sql", json!({ "query": query })).await;
    answer.problem(400, "invalid_sql");
}
