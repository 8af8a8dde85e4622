//! What may be asked: one question, and only a question.

use serde_json::json;
use springhouse_lake::LakeError;
use springhouse_model::{ErrorClass, ValueType};

use crate::world::{World, ask, main, refusal, row};

#[tokio::test]
async fn a_typing_error_is_told_with_its_place_and_nothing_around_it() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    let said = refusal(&lake, "SELECT power FROM meter WHERE").await.to_string();
    assert!(said.starts_with("Expected: an expression, found: EOF"), "{said}");
    assert!(!said.contains("Error") && !said.contains('"'), "{said}");
    let said = refusal(&lake, "SELECT 'n").await.to_string();
    assert!(said.starts_with("Unterminated string literal at Line: 1, Column: 8"), "{said}");
}

#[tokio::test]
async fn statements_that_do_more_than_ask_are_refused() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 1.0).await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out.csv");
    for sql in [
        &format!("COPY meter TO '{}'", target.display()),
        &format!("COPY (SELECT * FROM meter) TO '{}' STORED AS CSV", target.display()),
        "INSERT INTO meter SELECT * FROM meter",
        "INSERT INTO meter (power) VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO meter SELECT * FROM x",
        "UPDATE meter SET power = 0",
        "DELETE FROM meter",
        "TRUNCATE TABLE meter",
        "DROP TABLE meter",
        "CREATE TABLE stolen AS SELECT * FROM meter",
        "CREATE VIEW stolen AS SELECT * FROM meter",
        "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "SHOW TABLES",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "COMMIT",
        "EXPLAIN INSERT INTO meter SELECT * FROM meter",
        "EXPLAIN ANALYZE DELETE FROM meter",
        "EXPLAIN COPY meter TO 'x.csv'",
        "SELECT * INTO stolen FROM meter",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE meter",
        "",
        ";",
        "-- nothing",
    ] {
        let error = refusal(&lake, sql).await;
        let is_refused = matches!(error, LakeError::NotAQuery { .. } | LakeError::Query { .. });
        assert!(is_refused && error.class() == ErrorClass::User, "{sql}: {error:?}");
    }
    assert!(!target.exists());
    assert_eq!(ask(&lake, "SELECT power FROM meter").await, ["1.0"]);
}

#[tokio::test]
async fn errors_name_what_is_wrong() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    for (sql, expected) in [
        ("SELECT * FROM nothing", "stream `nothing` does not exist"),
        ("SELECT volts FROM meter", "volts"),
        ("SELECT wat(power) FROM meter", "wat"),
        ("SELEKT 1", "SELEKT"),
        ("SELECT 1 +", "Expected"),
        ("SELECT CAST('x' AS BIGINT)", "x"),
        ("SELECT 1 / 0", "ivide by zero"),
        ("SELECT * FROM HOP(meter, ts, INTERVAL '1' MINUTE)", "HOP: four arguments are expected; hint: HOP("),
    ] {
        let text = refusal(&lake, sql).await.to_string();
        assert!(text.contains(expected), "{sql}: {text}");
        assert!(
            !["Error during planning", "External error", "DataFusion"].iter().any(|word| text.contains(word)),
            "{sql}: {text}"
        );
    }
}

#[tokio::test]
async fn a_plan_can_be_looked_at() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 1.0).await;
    let plan = ask(&lake, "EXPLAIN SELECT device FROM meter WHERE power > 1").await;
    assert!(plan.iter().any(|line| line.starts_with("logical_plan | ")), "{plan:?}");
    let plan = ask(&lake, "EXPLAIN ANALYZE SELECT device FROM meter WHERE power > 0").await;
    assert!(plan.iter().any(|line| line.contains("output_rows=1")), "{plan:?}");
}

#[tokio::test]
async fn streams_with_dots_and_columns_with_capitals_have_their_names() {
    let world = World::new().await;
    world.stream(&main(), "alerts.hot.room", &[("Power", ValueType::Float)]).await;
    world.stream(&main(), "a.b.c.d", &[("x_y", ValueType::Float)]).await;
    let lake = world.lake().await;
    world.append("alerts.hot.room", &[json!({"ts": 0, "device": "a", "Power": 1.5})]).await;
    world.append("a.b.c.d", &[json!({"ts": 0, "device": "a", "x_y": 2.5})]).await;
    for _ in 0..2 {
        assert_eq!(ask(&lake, "SELECT \"Power\" FROM alerts.hot.room").await, ["1.5"]);
        assert_eq!(
            ask(&lake, "SELECT \"Power\" FROM \"alerts.hot.room\" r WHERE r.device = 'a'").await,
            ["1.5"]
        );
        assert_eq!(ask(&lake, "SELECT x_y FROM \"a.b.c.d\"").await, ["2.5"]);
        lake.flush().await.unwrap();
    }
}

#[tokio::test]
async fn windows_mean_on_history_what_they_mean_in_a_pipeline() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    // Ten rows, one each 30 s from 12:00:00 on: pairs share a minute.
    for number in 0..10 {
        world.append("meter", &[row(number * 30, "a", number as f64)]).await;
        if number == 6 {
            lake.flush().await.unwrap();
        }
    }
    let rows = ask(
        &lake,
        "SELECT window_start, window_end, device, sum(power), count(*)
         FROM TUMBLE(meter, ts, INTERVAL '1' MINUTE)
         GROUP BY window_start, window_end, device HAVING sum(power) > 1 ORDER BY window_start",
    )
    .await;
    assert_eq!(
        rows,
        [
            "2026-01-01T12:01:00Z | 2026-01-01T12:02:00Z | a | 5.0 | 2",
            "2026-01-01T12:02:00Z | 2026-01-01T12:03:00Z | a | 9.0 | 2",
            "2026-01-01T12:03:00Z | 2026-01-01T12:04:00Z | a | 13.0 | 2",
            "2026-01-01T12:04:00Z | 2026-01-01T12:05:00Z | a | 17.0 | 2",
        ]
    );
    // Two minutes every four, and what is less than 45 s apart: all ten rows, the last of them at 12:04:30.
    let rows = ask(
        &lake,
        "SELECT window_start, window_end, sum(power), count(*)
         FROM HOP(meter, ts, INTERVAL '4' MINUTE, INTERVAL '2' MINUTE) GROUP BY 1, 2 ORDER BY window_start",
    )
    .await;
    assert_eq!(
        rows,
        [
            "2026-01-01T12:00:00Z | 2026-01-01T12:02:00Z | 6.0 | 4",
            "2026-01-01T12:04:00Z | 2026-01-01T12:06:00Z | 17.0 | 2",
        ]
    );
    let rows = ask(
        &lake,
        "SELECT device, window_start, window_end, count(*)
         FROM SESSION(meter, ts, INTERVAL '45' SECOND, device) GROUP BY 1, 2, 3",
    )
    .await;
    assert_eq!(rows, ["a | 2026-01-01T12:00:00Z | 2026-01-01T12:05:15Z | 10"]);
}
