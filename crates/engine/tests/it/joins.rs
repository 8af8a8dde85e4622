//! Joins of two random streams against a model that tries every pair.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::{self, Select, Statement};
use springhouse_engine::{Catalog, Emitted, StreamTable, history};
use springhouse_model::{Timestamp, ValueType};
use springhouse_schema::{Field, Schema};

use crate::case::{decode, restarted};
use crate::hub::{at, lines};

/// One row of one of the two streams, in the order of the log; times in milliseconds.
#[derive(Clone, Debug)]
struct Reading {
    of_right: bool,
    at_ms: i64,
    key: Option<u8>,
    n: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The right row's time less the left row's, least and most.
    Near {
        least_ms: i64,
        most_ms: i64,
    },
    Window {
        size_ms: i64,
    },
    AsOf,
}

#[derive(Clone, Debug)]
struct Setting {
    kind: Kind,
    keeps: [bool; 2],
    /// Whether pairs have a condition beside their key.
    has_condition: bool,
    delays_ms: [i64; 2],
    lateness_ms: i64,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    // In tenths of seconds, so that times are often the same, or just as far apart as they may be.
    let step = prop_oneof![6 => 0..4_i64, 1 => 0..200_i64].prop_map(|tenths| tenths * 100);
    let behind = prop_oneof![6 => 0..20_i64, 1 => 0..100_i64].prop_map(|tenths| tenths * 100);
    let key = prop::option::weighted(0.9, 0..4_u8);
    prop::collection::vec((any::<bool>(), step, behind, key, 0..100_i64), 0..300).prop_map(|rows| {
        let mut now = 20_000;
        let reading = |(of_right, step, behind, key, n)| {
            now += step;
            Reading { of_right, at_ms: now - behind, key, n }
        };
        rows.into_iter().map(reading).collect()
    })
}

fn kinds() -> impl Strategy<Value = (Kind, [bool; 2])> {
    let near = (-20..20_i64, 0..30_i64);
    let near =
        near.prop_map(|(least, span)| Kind::Near { least_ms: least * 100, most_ms: (least + span) * 100 });
    let window = prop::sample::select(vec![500, 3_000]).prop_map(|size_ms| Kind::Window { size_ms });
    prop_oneof![
        3 => (near, any::<[bool; 2]>()),
        1 => (window, any::<[bool; 2]>()),
        2 => any::<bool>().prop_map(|keeps| (Kind::AsOf, [keeps, false])),
    ]
}

fn settings() -> impl Strategy<Value = Setting> {
    let delay = || prop::sample::select(vec![0, 1, 1_000, 5_000]);
    let cut = prop_oneof![3 => 1..10_usize, 1 => 10..65_537_usize];
    let cuts = prop::collection::vec(cut, 1..6);
    let lateness = prop::sample::select(vec![0, 0, 500]);
    let all = (kinds(), any::<bool>(), [delay(), delay()], lateness, readings(), cuts, 0..4_usize);
    all.prop_map(|((kind, keeps), has_condition, delays_ms, lateness_ms, readings, cuts, restart_every)| {
        Setting { kind, keeps, has_condition, delays_ms, lateness_ms, readings, cuts, restart_every }
    })
}

fn query(setting: &Setting) -> String {
    let join = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];
    let join = join[usize::from(setting.keeps[0]) + 2 * usize::from(setting.keeps[1])];
    let interval = |ms: i64| format!("INTERVAL '{ms}' MILLISECOND");
    let (from, near) = match setting.kind {
        Kind::Near { least_ms, most_ms } => (
            format!("a {join} b"),
            format!("AND b.ts >= a.ts + {} AND b.ts - {} <= a.ts", interval(least_ms), interval(most_ms)),
        ),
        Kind::Window { size_ms } => {
            let size = interval(size_ms);
            let windows = format!("TUMBLE(a, ts, {size}) a {join} TUMBLE(b, ts, {size}) b");
            (windows, "AND a.window_end = b.window_end".to_owned())
        }
        Kind::AsOf => (format!("a {join} b FOR SYSTEM_TIME AS OF a.ts"), String::new()),
    };
    let condition = if setting.has_condition { "AND (a.n + b.n) % 3 <> 0" } else { "" };
    format!(
        "SELECT a.device AS da, a.ts AS at, a.n AS an, b.ts AS bt, b.n AS bn FROM {from} ON a.device = b.device {near} {condition}"
    )
}

/// How many pairs have their time in each window of two seconds.
fn query_of_windows(setting: &Setting) -> String {
    let pairs = query(setting).replace("SELECT ", "SELECT greatest(a.ts, b.ts) AS ts, ");
    format!(
        "SELECT window_start, count(*) AS n FROM TUMBLE(({pairs}), ts, INTERVAL '2' SECOND) GROUP BY window_start"
    )
}

/// The rows of both sides that are on time, and the late rows: a row is late when it is behind the lesser watermark.
fn judged(setting: &Setting) -> ([Vec<&Reading>; 2], Vec<String>) {
    let mut largest: [Option<i64>; 2] = [None; 2];
    let mut on_time: [Vec<&Reading>; 2] = Default::default();
    let mut late = Vec::new();
    for reading in &setting.readings {
        let watermarks =
            [0, 1].map(|side: usize| largest[side].map(|largest| largest - setting.delays_ms[side]));
        let watermark = match watermarks {
            [Some(a), Some(b)] => Some(a.min(b) - setting.lateness_ms),
            _ => None,
        };
        let side = usize::from(reading.of_right);
        largest[side] = largest[side].max(Some(reading.at_ms));
        match watermark {
            Some(watermark) if reading.at_ms < watermark => {
                let stream = if reading.of_right { "b" } else { "a" };
                late.push(format!(
                    "{stream} {} {}",
                    time(reading.at_ms),
                    (watermark - reading.at_ms) * 1_000
                ));
            }
            _ => on_time[side].push(reading),
        }
    }
    (on_time, late)
}

/// The row of a pair, or of one that is alone.
fn shown(a: Option<&Reading>, b: Option<&Reading>) -> String {
    let key = a.and_then(|a| a.key).map_or("null".to_owned(), |key| format!(r#""d{key}""#));
    let of = |row: Option<&Reading>| match row {
        Some(row) => (time(row.at_ms), row.n.to_string()),
        None => ("null".to_owned(), "null".to_owned()),
    };
    let ((at, an), (bt, bn)) = (of(a), of(b));
    format!(r#"{{"da":{key},"at":{at},"an":{an},"bt":{bt},"bn":{bn}}}"#)
}

/// The rows with their times, in no order, and the late rows.
fn model(setting: &Setting) -> (Vec<(i64, String)>, Vec<String>) {
    let ([left, right], late) = judged(setting);
    let holds = |a: &Reading, b: &Reading| {
        a.key.is_some() && a.key == b.key && (!setting.has_condition || (a.n + b.n) % 3 != 0)
    };
    let mut rows = Vec::new();
    if setting.kind == Kind::AsOf {
        for a in &left {
            let versions = right.iter().filter(|b| a.key.is_some() && b.key == a.key && b.at_ms <= a.at_ms);
            // The last of those with the largest time.
            let newest = versions.max_by_key(|b| b.at_ms).filter(|b| holds(a, b)).copied();
            if newest.is_some() || setting.keeps[0] {
                rows.push((a.at_ms, shown(Some(a), newest)));
            }
        }
        return (rows, late);
    }
    let is_near = |a: &Reading, b: &Reading| match setting.kind {
        Kind::Near { least_ms, most_ms } => (least_ms..=most_ms).contains(&(b.at_ms - a.at_ms)),
        Kind::Window { size_ms } => a.at_ms.div_euclid(size_ms) == b.at_ms.div_euclid(size_ms),
        Kind::AsOf => false,
    };
    let alone_at = |row: &Reading| match setting.kind {
        Kind::Near { most_ms, .. } if !row.of_right => row.at_ms + most_ms.max(0),
        Kind::Near { least_ms, .. } => row.at_ms + (-least_ms).max(0),
        Kind::Window { size_ms } => (row.at_ms.div_euclid(size_ms) + 1) * size_ms,
        Kind::AsOf => row.at_ms,
    };
    for a in &left {
        for b in right.iter().filter(|b| is_near(a, b) && holds(a, b)) {
            rows.push((a.at_ms.max(b.at_ms), shown(Some(a), Some(b))));
        }
    }
    if setting.keeps[0] {
        let alone = left.iter().filter(|a| !right.iter().any(|b| is_near(a, b) && holds(a, b)));
        rows.extend(alone.map(|a| (alone_at(a), shown(Some(a), None))));
    }
    if setting.keeps[1] {
        let alone = right.iter().filter(|b| !left.iter().any(|a| is_near(a, b) && holds(a, b)));
        rows.extend(alone.map(|b| (alone_at(b), shown(None, Some(b)))));
    }
    (rows, late)
}

fn time(ms: i64) -> String {
    at(ms as f64 / 1e3)
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("n", ValueType::Int)])
}

fn planned(setting: &Setting, query: &str) -> Arc<Plan> {
    let table = |name: &str, delay_ms: i64| StreamTable {
        name: name.parse().unwrap(),
        schema: schema(),
        watermark_delay_us: delay_ms * 1_000,
    };
    let catalog = Catalog::new([table("a", setting.delays_ms[0]), table("b", setting.delays_ms[1])]);
    let Ok(Statement::Query(text)) = statement::parse_one(query) else { panic!("{query}") };
    let select = Select { allowed_lateness_us: setting.lateness_ms * 1_000, ..Select::bare(text) };
    Arc::new(plan(&select, &catalog).unwrap_or_else(|error| panic!("{error}: {query}")))
}

fn batch(readings: &[Reading]) -> RecordBatch {
    let line = |reading: &Reading| {
        let device = reading.key.map_or("null".to_owned(), |key| format!(r#""d{key}""#));
        format!(r#"{{"ts":{},"device":{device},"n":{}}}"#, time(reading.at_ms), reading.n)
    };
    decode(Arc::new(schema()), &readings.iter().map(line).collect::<Vec<_>>())
}

/// The rows of the engine with their times, and the late rows.
fn engine(setting: &Setting) -> (Vec<(i64, String)>, Vec<String>) {
    engine_of(setting, &query(setting))
}

fn engine_of(setting: &Setting, query: &str) -> (Vec<(i64, String)>, Vec<String>) {
    let plan = planned(setting, query);
    let mut pipeline = plan.start();
    let (mut rows, mut late) = (Vec::new(), Vec::new());
    let mut take = |emitted: Emitted| {
        for batch in emitted.rows {
            let times = lines(&batch.project(&[0]).unwrap(), &[]);
            let texts = lines(&batch.project(plan.selected_columns()).unwrap(), &[]);
            rows.extend(times.into_iter().zip(texts));
        }
        for batch in emitted.late {
            for line in lines(&batch, &[]) {
                let row: serde_json::Value = serde_json::from_str(&line).unwrap();
                late.push(format!("{} {} {}", row["stream"].as_str().unwrap(), row["ts"], row["late_by_us"]));
            }
        }
    };
    // Pieces of the log: neighbors of one stream come together.
    let mut rest = setting.readings.as_slice();
    let mut pieces = setting.cuts.iter().cycle().zip(1..);
    while let Some(first) = rest.first() {
        let (cut, number) = pieces.next().unwrap();
        let same = rest.iter().take_while(|row| row.of_right == first.of_right).count();
        let (piece, after) = rest.split_at(same.min(*cut));
        let stream = if first.of_right { "b" } else { "a" };
        let source = plan.source_at(&stream.parse().unwrap()).unwrap();
        take(pipeline.push(source, &batch(piece)).unwrap());
        rest = after;
        if setting.restart_every > 0 && number % setting.restart_every == 0 {
            pipeline = restarted(&plan, pipeline);
        }
    }
    take(pipeline.finish().unwrap());
    let times = |row: (String, String)| {
        let json: serde_json::Value = serde_json::from_str(&row.0).unwrap();
        (micros(json["ts"].as_str().unwrap()), row.1)
    };
    (rows.into_iter().map(times).collect(), late)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_join_gives_the_pairs_of_the_model_however_the_streams_are_cut(setting in settings()) {
        let (rows, late) = engine(&setting);
        let (mut expected, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        prop_assert!(rows.is_sorted_by_key(|(time, _)| *time));
        let mut rows: Vec<String> = rows.into_iter().map(|(time, row)| format!("{time} {row}")).collect();
        let epoch = micros(&serde_json::from_str::<String>(&time(0)).unwrap());
        let mut expected: Vec<String> =
            expected.drain(..).map(|(time, row)| format!("{} {row}", epoch + time * 1_000)).collect();
        rows.sort();
        expected.sort();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn windows_over_pairs_hold_those_of_the_model(setting in settings()) {
        prop_assume!(setting.kind != Kind::AsOf);
        let setting = Setting { keeps: [false, false], ..setting };
        let (rows, late) = engine_of(&setting, &query_of_windows(&setting));
        let (pairs, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        let mut windows = std::collections::BTreeMap::<i64, u64>::new();
        pairs.iter().for_each(|(at_ms, _)| *windows.entry(at_ms.div_euclid(2_000) * 2_000).or_default() += 1);
        let expected = windows.iter().map(|(start, n)| format!(r#"{{"window_start":{},"n":{n}}}"#, time(*start)));
        let rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
        prop_assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_order_of_pairs_does_not_depend_on_cuts_and_restarts(setting in settings()) {
        let whole = Setting { cuts: vec![usize::MAX], restart_every: 0, ..setting.clone() };
        prop_assert_eq!(engine(&setting), engine(&whole));
    }

    #[test]
    fn which_stream_was_faster_makes_no_difference_when_nothing_is_late(setting in settings()) {
        let setting = Setting { delays_ms: [100_000; 2], ..setting };
        for right_first in [false, true] {
            let mut readings = setting.readings.clone();
            readings.sort_by_key(|reading| reading.of_right != right_first);
            prop_assert_eq!(engine(&setting), engine(&Setting { readings, ..setting.clone() }));
        }
    }
}

/// The same SELECT as a query over tables.
async fn on_history(setting: &Setting, query: &str) -> Vec<String> {
    let context = SessionContext::new();
    for planner in history::relation_planners() {
        context.register_relation_planner(planner).unwrap();
    }
    for (name, of_right) in [("a", false), ("b", true)] {
        let rows = setting.readings.iter().filter(|reading| reading.of_right == of_right).cloned();
        context.register_batch(name, batch(&rows.collect::<Vec<_>>())).unwrap();
    }
    let sql = query
        .replace("TUMBLE(a,", "TUMBLE((SELECT * FROM a),")
        .replace("TUMBLE(b,", "TUMBLE((SELECT * FROM b),");
    let Ok(Statement::Query(text)) = statement::parse_one(&sql) else { panic!("{sql}") };
    let plan =
        context.state().create_logical_plan(&text).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    let plan = history::lower_versions(plan).unwrap();
    let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| lines(batch, &[])).collect()
}

fn micros(rfc3339: &str) -> i64 {
    Timestamp::parse_rfc3339(rfc3339).unwrap().micros()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_joins_as_the_pipeline_did(setting in settings()) {
        // Without late rows, and without two of one time, whose order a table does not know.
        let mut readings = setting.readings.clone();
        readings.iter_mut().zip(0..).for_each(|(reading, at)| reading.at_ms += at);
        let mut times = std::collections::HashSet::new();
        readings.retain(|reading| times.insert(reading.at_ms));
        let setting = Setting { delays_ms: [100_000; 2], readings, ..setting };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (rows, late) = engine(&setting);
        prop_assert_eq!(late, Vec::<String>::new());
        let mut rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
        let mut history = runtime.block_on(on_history(&setting, &query(&setting)));
        rows.sort();
        history.sort();
        prop_assert_eq!(history, rows);
        if setting.kind != Kind::AsOf && setting.keeps == [false, false] {
            let query = query_of_windows(&setting);
            let rows: Vec<String> = engine_of(&setting, &query).0.into_iter().map(|(_, row)| row).collect();
            let mut history = runtime.block_on(on_history(&setting, &query));
            history.sort();
            prop_assert_eq!(history, rows);
        }
    }
}
