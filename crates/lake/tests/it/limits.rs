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

#[tokio::test]
async fn expressions_that_would_build_without_bound_are_refused() {
    let (_world, lake) = filled(options(), 2_000).await;
    let names = |from: &str, made: &str| {
        let made = (0..40).map(|n| format!("t{} AS ({})", n + 1, made.replace('?', &format!("t{n}"))));
        format!("WITH t0 AS ({from}), {} SELECT * FROM t40", made.collect::<Vec<_>>().join(", "))
    };
    for (sql, expected) in [
        ("SELECT repeat('x', 2000000000)".to_owned(), "repeat() of such long texts or large numbers"),
        ("SELECT repeat('x', 100000)".to_owned(), "a text of 100000 bytes, at most 65536"),
        ("SELECT lpad(device, 1000000000) FROM meter".to_owned(), "lpad() of such long texts"),
        ("SELECT repeat(device, 100000) FROM meter".to_owned(), "repeat() gives more than"),
        ("SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)') FROM meter".to_owned(), "fixed size"),
        ("SELECT regexp_like(device, 'a' || power) FROM meter".to_owned(), "has to be a constant"),
        (
            "SELECT regexp_count(device, d) FROM (SELECT device, concat('x', device) AS d FROM meter)"
                .to_owned(),
            "has to be a constant",
        ),
        ("SELECT * FROM meter WHERE device ~ concat(device, 'x')".to_owned(), "has to be a constant"),
        (
            "SELECT * FROM meter WHERE device SIMILAR TO concat(device, 'x')".to_owned(),
            "has to be a constant",
        ),
        (names("SELECT 1", "SELECT * FROM ? UNION ALL SELECT * FROM ?"), "tables when all names"),
        (names("SELECT device AS d FROM meter", "SELECT d || d AS d FROM ?"), "becomes too large"),
        (
            names("SELECT device AS d FROM meter", "SELECT concat_ws('', d, d) AS d FROM ?"),
            "becomes too large",
        ),
    ] {
        let error = refusal(&lake, &sql).await.to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
}

#[tokio::test]
async fn an_expression_that_computes_for_long_ends_with_the_time_of_its_query() {
    let brief = Options { query_time: Duration::from_millis(300), ..options() };
    let (_world, lake) = filled(brief, 2_000).await;
    // Each row takes some 20 ms.
    let began = Instant::now();
    let slow = "SELECT levenshtein(repeat(device, 400), repeat(device, 401)) FROM meter";
    let error = refusal(&lake, slow).await;
    assert!(matches!(error, LakeError::TimeLimit { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn functions_within_bounds_give_what_they_always_gave() {
    let world = World::new().await.with_meter().await;
    let lake = world.lake().await;
    world.meter(0, "ab", 1.5).await;
    for (expression, expected) in [
        ("device || '-' || power", "ab-1.5"),
        ("device || NULL", ""),
        ("concat(device, NULL, 'c')", "abc"),
        ("concat_ws('/', device, 'c', NULL)", "ab/c"),
        ("repeat(device, 3)", "ababab"),
        ("lpad(device, 4, 'é')", "ééab"),
        ("replace(device, 'b', 'xyz')", "axyz"),
        ("regexp_replace(device, '(a)(b)', '$2$1')", "ba"),
        ("overlay(device placing 'X' from 2 for 1)", "aX"),
        ("levenshtein(device, 'abc')", "1"),
        ("regexp_like(device, '^' || 'ab')", "true"),
        ("device ~ '^a.$'", "true"),
        ("translate(device, 'ab', 'cd')", "cd"),
        ("repeat('x', 3) || 'y'", "xxxy"),
        ("(SELECT max(device || '!') FROM meter)", "ab!"),
    ] {
        let sql = format!("SELECT {expression} FROM meter GROUP BY device, power, device || '-' || power");
        assert_eq!(ask(&lake, &sql).await, [expected], "{expression}");
    }
    let sql = "SELECT device || '!' FROM meter WHERE device || '!' = 'ab!' ORDER BY device || '!'";
    assert_eq!(ask(&lake, sql).await, ["ab!"]);
}
