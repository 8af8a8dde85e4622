//! A query that asks for too much ends with an error that says so, and ends alone.

use std::time::{Duration, Instant};

use springhouse_lake::{LakeError, Options};
use springhouse_model::ErrorClass;

use crate::world::{World, ask, main, options, refusal, row};

/// `meter` with rows of as many different devices and values.
async fn filled(options: Options, rows: i64) -> (World, springhouse_lake::Lake) {
    let mut world = World::new().await.with_meter().await;
    world.options = options;
    let lake = world.lake().await;
    let rows: Vec<_> = (0..rows).map(|n| row(n, &format!("device-{n}"), n as f64)).collect();
    for part in rows.chunks(10_000) {
        world.append("meter", part).await;
    }
    (world, lake)
}

#[tokio::test]
async fn memory_of_queries_is_bounded() {
    let bounded = Options { query_memory_bytes: 1 << 20, query_spill_bytes: 0, ..options() };
    let (_world, lake) = filled(bounded, 50_000).await;
    let error = refusal(&lake, "SELECT device, count(*) FROM meter GROUP BY device ORDER BY 2, 1").await;
    assert!(matches!(error, LakeError::MemoryLimit), "{error:?}");
    assert_eq!((error.class(), error.code()), (ErrorClass::User, "query_memory_limit"));
    assert_eq!(ask(&lake, "SELECT count(*) FROM meter").await, ["50000"]);
}

#[tokio::test]
async fn time_of_a_query_is_bounded() {
    let (_world, lake) = filled(Options { query_time: Duration::from_millis(200), ..options() }, 5_000).await;
    let endless = "SELECT count(*) FROM meter a, meter b, meter c WHERE a.power + b.power + c.power < 0";
    let began = Instant::now();
    let error = refusal(&lake, endless).await;
    assert!(matches!(error, LakeError::TimeLimit { .. }), "{error:?}");
    // 125 thousand million rows would take many minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(ask(&lake, "SELECT count(*) FROM meter").await, ["5000"]);
}

#[tokio::test]
async fn rows_of_an_answer_are_bounded_and_the_answer_says_so() {
    let (_world, lake) = filled(Options { query_rows_max: 100, ..options() }, 500).await;
    let rows = lake.query_all(&main(), "SELECT * FROM meter").await.unwrap();
    assert_eq!((rows.row_count, rows.truncated), (100, true));
    let rows = lake.query_all(&main(), "SELECT * FROM meter LIMIT 100").await.unwrap();
    assert_eq!((rows.row_count, rows.truncated), (100, false));
}

#[tokio::test]
async fn texts_that_are_long_or_deep_are_refused_before_they_cost_anything() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    let long = format!("SELECT '{}'", "x".repeat(300_000));
    assert!(matches!(refusal(&lake, &long).await, LakeError::QueryTooLong { .. }));
    for (start, middle, end) in [
        ("SELECT 1", "+1", ""),
        ("SELECT ", "-", "1"),
        ("SELECT 1 WHERE true", " AND true", ""),
        ("SELECT 1 WHERE true", " OR 1=1", ""),
        ("SELECT 1", " UNION SELECT 1", ""),
        ("SELECT ", "(", "1"),
        ("SELECT 'a'", "||'a'", ""),
        ("SELECT ", "abs(", "1"),
        ("SELECT 1", "::int", ""),
        ("SELECT ", "CASE WHEN true THEN ", "1"),
        ("SELECT * FROM meter", " CROSS JOIN meter", ""),
    ] {
        let sql = format!("{start}{}{end}", middle.repeat(20_000));
        let error = refusal(&lake, &sql[..sql.len().min(250_000)]).await;
        let is_refused = matches!(error, LakeError::QueryTooDeep { .. } | LakeError::Query { .. });
        assert!(is_refused, "{middle}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_just_not_too_deep_is_answered() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "a", 1.0).await;
    let sum = format!("SELECT power{} FROM meter", "+power".repeat(1_900));
    assert_eq!(ask(&lake, &sum).await, ["1901.0"]);
    let any = (0..600).map(|n| format!(" OR device = 'd{n}'")).collect::<String>();
    assert_eq!(ask(&lake, &format!("SELECT power FROM meter WHERE device = 'a'{any}")).await, ["1.0"]);
    let list = (0..10_000).map(|n| format!("'d{n}'")).collect::<Vec<_>>().join(", ");
    let among = format!("SELECT count(*) FROM meter WHERE device IN ({list})");
    assert_eq!(ask(&lake, &among).await, ["0"]);
    // Joins and unions are not only deep: they multiply what planning has to look at.
    let union = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(300));
    assert_eq!(ask(&lake, &union).await.len(), 301);
}
