//! Windows of so many rows on random streams, against a model that has all rows at once, and against history.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::Select;
use springhouse_engine::{Catalog, history};

use crate::case::{driven, late, selected};
use crate::hub::lines;
use crate::readings::{Reading, batch, cuts, homes, readings, time};

/// What tells windows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    DeviceAndBounds,
    DeviceAndEnd,
    /// Windows over all rows, with a row for each device in them.
    Bounds,
}

#[derive(Clone, Debug)]
struct Setting {
    delay_ms: i64,
    lateness_ms: i64,
    size: usize,
    by: By,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn settings() -> impl Strategy<Value = Setting> {
    let delay = prop::sample::select(vec![0, 100, 1_000, 5_000]);
    let lateness = prop::sample::select(vec![0, 0, 500]);
    let size = prop_oneof![3 => 1..8_usize, 1 => 8..60_usize];
    let by = prop::sample::select(vec![By::DeviceAndBounds, By::DeviceAndEnd, By::Bounds]);
    (delay, lateness, size, by, readings(100, -100..100), cuts(), 0..4_usize).prop_map(
        |(delay_ms, lateness_ms, size, by, readings, cuts, restart_every)| Setting {
            delay_ms,
            lateness_ms,
            size,
            by,
            readings,
            cuts,
            restart_every,
        },
    )
}

fn query(setting: &Setting, stream: &str) -> String {
    let size = setting.size;
    let values = "count(*) AS c, count(n) AS v, sum(n) AS s, max(n) AS hi";
    match setting.by {
        By::DeviceAndBounds => format!(
            "SELECT device, window_start, window_end, {values} FROM COUNT_WINDOW({stream}, ts, {size}, device)
             GROUP BY device, window_start, window_end"
        ),
        By::DeviceAndEnd => format!(
            "SELECT device, window_end, {values} FROM COUNT_WINDOW({stream}, ts, {size}, device) GROUP BY device, window_end"
        ),
        By::Bounds => format!(
            "SELECT device, window_start, window_end, {values} FROM COUNT_WINDOW({stream}, ts, {size})
             GROUP BY window_start, window_end, device"
        ),
    }
}

/// The rows of windows in the order of their end and key, and the late rows.
fn model(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let (mut largest, mut on_time, mut late) = (None, Vec::new(), Vec::new());
    for reading in &setting.readings {
        let watermark = largest.map(|largest: i64| largest - setting.delay_ms - setting.lateness_ms);
        largest = largest.max(Some(reading.at_ms));
        match watermark {
            Some(watermark) if reading.at_ms < watermark => {
                let by_us = (watermark - reading.at_ms) * 1_000;
                late.push(format!("{}d{} {by_us}", time(reading.at_ms), reading.device));
            }
            _ => on_time.push(reading),
        }
    }
    on_time.sort_by_key(|reading| reading.at_ms);
    let mut by_key: BTreeMap<Option<u8>, Vec<&Reading>> = BTreeMap::new();
    for reading in on_time {
        let key = (setting.by != By::Bounds).then_some(reading.device);
        by_key.entry(key).or_default().push(reading);
    }
    // End, key, start and device, which are the order of what comes out.
    let mut groups: BTreeMap<(i64, Option<u8>, i64, u8), Vec<&Reading>> = BTreeMap::new();
    for (key, rows) in by_key {
        for window in rows.chunks_exact(setting.size) {
            let end = window[window.len() - 1].at_ms;
            let start = if setting.by == By::DeviceAndEnd { 0 } else { window[0].at_ms };
            for row in window {
                groups.entry((end, key, start, row.device)).or_default().push(*row);
            }
        }
    }
    let row = |((end, _, start, device), rows): ((i64, Option<u8>, i64, u8), Vec<&Reading>)| {
        let values: Vec<i64> = rows.iter().filter_map(|row| row.n).collect();
        let shown = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
        let start = match setting.by {
            By::DeviceAndEnd => String::new(),
            _ => format!(r#""window_start":{},"#, time(start)),
        };
        format!(
            r#"{{"device":"d{device}",{start}"window_end":{},"c":{},"v":{},"s":{},"hi":{}}}"#,
            time(end),
            rows.len(),
            values.len(),
            shown((!values.is_empty()).then(|| values.iter().sum())),
            shown(values.iter().max().copied()),
        )
    };
    (groups.into_iter().map(row).collect(), late)
}

fn planned(setting: &Setting) -> Arc<Plan> {
    let sql = query(setting, "homes");
    let select = Select { allowed_lateness_us: setting.lateness_ms * 1_000, ..Select::bare(sql) };
    Arc::new(plan(&select, &Catalog::new([homes(setting.delay_ms)])).unwrap())
}

fn engine(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let plan = planned(setting);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    (selected(&plan, &emitted.rows), late(&emitted.late))
}

fn on_history(setting: &Setting) -> Vec<String> {
    let context = SessionContext::new();
    for planner in history::relation_planners() {
        context.register_relation_planner(planner).unwrap();
    }
    context.register_batch("homes", batch(&setting.readings)).unwrap();
    let sql = query(setting, "(SELECT * FROM homes)");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let batches = runtime.block_on(async { context.sql(&sql).await.unwrap().collect().await.unwrap() });
    let mut rows: Vec<String> = batches.iter().flat_map(|batch| lines(batch, &[])).collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_fill_as_in_the_model_however_the_stream_is_cut(setting in settings()) {
        let (rows, late) = engine(&setting);
        let (expected_rows, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(rows, expected_rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_fills_the_windows_of_the_pipeline(setting in settings()) {
        // Without late rows, and without two of one time, whose order a table does not know.
        let mut times = std::collections::HashSet::new();
        let mut readings = setting.readings.clone();
        readings.retain(|reading| times.insert(reading.at_ms));
        let setting = Setting { delay_ms: 100_000, readings, ..setting };
        let (mut rows, late) = engine(&setting);
        prop_assert_eq!(late, Vec::<String>::new());
        rows.sort();
        prop_assert_eq!(on_history(&setting), rows);
    }
}

/// Five rows of one time are two windows of two with the same bounds, and a rest.
#[test]
fn windows_that_group_by_cannot_tell_apart_are_one_group_live_and_over_history() {
    let readings = vec![Reading { at_ms: 1_000, device: 1, n: Some(3) }; 5];
    for by in [By::DeviceAndBounds, By::DeviceAndEnd, By::Bounds] {
        let (delay_ms, lateness_ms, size, cuts) = (0, 0, 2, vec![1]);
        let readings = readings.clone();
        let setting = Setting { delay_ms, lateness_ms, size, by, readings, cuts, restart_every: 1 };
        let (rows, _) = engine(&setting);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!(rows[0].contains(r#""c":4,"v":4,"s":12,"#), "{rows:?}");
        assert_eq!(on_history(&setting), rows);
    }
}

#[test]
fn a_plan_tells_how_many_rows_a_window_has() {
    let sql = "SELECT device, count(*) FROM COUNT_WINDOW(homes, ts, 100, device) GROUP BY device, window_end";
    let plan = plan(&Select::bare(sql), &Catalog::new([homes(0)])).unwrap();
    let aggregate = plan.explain().into_iter().find(|step| step.step == "aggregate").unwrap();
    assert_eq!(aggregate.detail, "count(*) by device, window_end; windows of 100 rows");
}
