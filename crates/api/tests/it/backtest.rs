//! A backtest gives what the pipeline has written: the same rows, the same late rows.

use serde_json::{Value, json};
use springhouse_model::Timestamp;
use springhouse_policy::Scope;

use crate::client::Client;
use crate::house::{House, until};

const BACKTEST: &str = "/api/v1/pipelines/backtest";
/// 2026-01-01T00:00:00Z.
const EPOCH_US: i64 = 1_767_225_600_000_000;

const STREAMS: [&str; 4] = [
    "CREATE STREAM meter (power BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER)",
    "CREATE PIPELINE tens INTO tens_rows ALLOWED LATENESS INTERVAL '1' SECOND AS
     SELECT device, window_start, count(*) AS n, sum(power) AS total, first_value(power) AS first
     FROM TUMBLE(meter, ts, INTERVAL '10' SECOND) GROUP BY device, window_start",
    "CREATE PIPELINE hops INTO hops_rows AS SELECT window_start, window_end, max(power) AS top
     FROM HOP(meter, ts, INTERVAL '5' SECOND, INTERVAL '15' SECOND) WHERE power > 10
     GROUP BY window_start, window_end HAVING count(*) > 1",
    "CREATE PIPELINE odd INTO odd_rows AS SELECT ts, device, power * 2 AS twice FROM meter WHERE power % 2 = 1",
];

fn at(second: f64) -> Timestamp {
    Timestamp(EPOCH_US + (second * 1e6) as i64)
}

/// Numbers that look like chance (Lehmer 1951, with the numbers of Park and Miller 1988).
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        self.0 % count
    }
}

/// Readings of three devices over about ten minutes, mostly in order, some far too late. Half of them are in files.
async fn lived(seed: u64) -> House {
    let house = House::new().await;
    for sql in STREAMS {
        house.sql(sql).await;
    }
    let (mut dice, mut second) = (Dice(seed), 0.0);
    for number in 0..400 {
        second += dice.below(3_000) as f64 / 1e3;
        let behind = if dice.below(12) == 0 { 30_000 } else { 2_500 };
        let ts = at((second - dice.below(behind) as f64 / 1e3).max(0.0));
        house.clock.advance_micros(1_000);
        let device = format!("d{}", dice.below(3));
        house.say(&device, "meter", json!({ "ts": ts.to_string(), "power": dice.below(100) })).await;
        if number == 200 {
            house.lake.flush().await.unwrap();
        }
    }
    let admin = house.admin();
    until(async || {
        let pipelines = admin.get("/api/v1/pipelines").await.expect(200);
        pipelines.as_array().unwrap().iter().all(|one| one["lag_records"] == 0).then_some(())
    })
    .await;
    house
}

/// The lines of a backtest: rows, late rows, and what the last one says.
async fn backtest(client: &Client, body: Value) -> (Vec<String>, Vec<String>, Value) {
    let answer = client.post(BACKTEST, body).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let (mut rows, mut late, mut end) = (Vec::new(), Vec::new(), Value::Null);
    for line in answer.text().lines() {
        assert_eq!(end, Value::Null, "nothing comes behind the end");
        let line: Value = serde_json::from_str(line).unwrap();
        match (line.get("row"), line.get("late")) {
            (Some(row), _) => rows.push(row.to_string()),
            (_, Some(row)) => late.push(row.to_string()),
            _ => end = line["end"].clone(),
        }
    }
    rows.sort_unstable();
    late.sort_unstable();
    (rows, late, end)
}

/// The rows of a stream in a span, as a query over its history tells them.
async fn written(client: &Client, stream: &str, from: f64, to: f64) -> Vec<String> {
    let (from, to) = (at(from), at(to));
    let query = format!("SELECT * FROM {stream} WHERE ts >= '{from}' AND ts < '{to}'");
    let client = client.with("accept", "application/x-ndjson");
    let answer = client.post("/api/v1/sql", json!({ "query": query })).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let mut lines: Vec<String> =
        answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string()).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn a_backtest_gives_the_rows_and_the_late_rows_that_live_has_written() {
    for seed in [3, 77, 4_242] {
        let house = lived(seed).await;
        let reader = house.with_scopes(&[Scope::Read]).await;
        let mut late_rows = 0;
        for (from, to) in [(0.0, 500.0), (60.0, 200.0), (123.4, 321.0)] {
            for name in ["tens", "hops", "odd"] {
                let body = json!({ "name": name, "from": at(from), "to": at(to) });
                let (rows, late, end) = backtest(&reader, body).await;
                assert_eq!(
                    rows,
                    written(&reader, &format!("{name}_rows"), from, to).await,
                    "{name}, seed {seed}"
                );
                assert!(rows.len() > 10, "{name}: {rows:?}");
                if name != "odd" {
                    let expected = written(&reader, &format!("\"{name}.late\""), from, to).await;
                    assert_eq!(late, expected, "{name}, seed {seed}");
                    late_rows += late.len();
                }
                assert_eq!((&end["rows"], &end["late"]), (&json!(rows.len()), &json!(late.len())));
                assert!(end["scanned"].as_u64().unwrap() >= 60, "{end}");
            }
        }
        assert!(late_rows > 10, "seed {seed}: the case is worth something only with late rows");
    }
}

#[tokio::test]
async fn a_statement_that_is_no_pipeline_yet_can_be_run_over_history() {
    let house = lived(9).await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    let body = json!({ "statement": STREAMS[1].replace("tens", "draft"), "from": at(60.0), "to": at(200.0) });
    let (rows, ..) = backtest(&reader, body).await;
    assert_eq!(rows, written(&reader, "tens_rows", 60.0, 200.0).await);
    assert!(house.entry("draft_rows").is_none());
    let names = house.admin().get("/api/v1/pipelines").await.expect(200);
    assert_eq!(names.as_array().unwrap().len(), 3, "nothing was created");
}

#[tokio::test]
async fn what_breaks_a_backtest_is_told() {
    let house = lived(9).await;
    let reader = house.with_scopes(&[Scope::Read]).await;
    let ask = async |mut body: Value| {
        body["from"] = json!(at(0.0));
        body["to"] = json!(at(100.0));
        reader.post(BACKTEST, body).await
    };
    ask(json!({})).await.problem(400, "invalid_query");
    ask(json!({ "name": "tens", "statement": "SELECT 1" })).await.problem(400, "invalid_query");
    ask(json!({ "name": "nothing" })).await.problem(404, "not_found");
    ask(json!({ "statement": "SELECT watts FROM meter" })).await.problem(400, "invalid_sql");
    let turned = json!({ "name": "tens", "from": at(9.0), "to": at(9.0) });
    reader.post(BACKTEST, turned).await.problem(400, "invalid_query");
    // Rows without a value are told one by one, as those of a statement that has one for each.
    let lines = async |sql: &str| -> Vec<Value> {
        let answer = ask(json!({ "statement": sql })).await;
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines("SELECT power FROM meter").await.len() - 1;
    let broken = lines("SELECT 1 / (power - power) AS x FROM meter").await;
    let (end, rows) = broken.split_last().unwrap();
    assert_eq!((&end["end"]["rows"], &end["end"]["broken"]), (&0.into(), &all.into()));
    assert_eq!(rows.len(), all);
    let why = rows[0]["broken"]["why"].as_str().unwrap();
    assert!(why.starts_with("division by zero; hint: divide by nullif"), "{why}");
    assert!(rows[0]["broken"]["row"]["power"].is_number());
}
