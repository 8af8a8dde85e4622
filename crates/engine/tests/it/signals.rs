//! `hysteresis` and `debounce` on random streams against models that look at all rows before each, and against history.

use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::Select;
use springhouse_engine::{Catalog, with_functions};

use crate::case::{driven, late, selected};
use crate::hub::lines;
use crate::readings::{Reading, batch, cuts, homes, readings, time};

#[derive(Clone, Debug)]
struct Setting {
    delay_ms: i64,
    lateness_ms: i64,
    on: i64,
    off: i64,
    stands_ms: i64,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn settings() -> impl Strategy<Value = Setting> {
    let delay = prop::sample::select(vec![0, 100, 1_000, 5_000]);
    let lateness = prop::sample::select(vec![0, 0, 500]);
    let thresholds = (-3..4_i64, -3..4_i64).prop_filter("one is above the other", |(on, off)| on != off);
    // Few values, so that some stand for a while.
    (delay, lateness, thresholds, 1..30_i64, readings(300, -4..5), cuts(), 0..4_usize).prop_map(
        |(delay_ms, lateness_ms, (on, off), tenths, readings, cuts, restart_every)| Setting {
            delay_ms,
            lateness_ms,
            on,
            off,
            stands_ms: tenths * 100,
            readings,
            cuts,
            restart_every,
        },
    )
}

/// Calls of both kinds, and LAG among them; thresholds that are columns too.
fn query(setting: &Setting) -> String {
    let Setting { on, off, stands_ms, .. } = setting;
    format!(
        "SELECT ts, device, n, hysteresis(n, {on}, {off}) OVER w AS h, LAG(n) OVER w AS before,
            debounce(n, INTERVAL '{stands_ms}' MILLISECOND) OVER w AS d,
            debounce(CASE WHEN n > 0 THEN 'up' WHEN n <= 0 THEN 'down' END, INTERVAL '{stands_ms}' MILLISECOND) OVER w AS t,
            hysteresis(n, CASE device WHEN 'd0' THEN {off} ELSE {on} END, CASE device WHEN 'd0' THEN {on} ELSE {off} END) OVER w AS x
         FROM homes WINDOW w AS (PARTITION BY device ORDER BY ts)"
    )
}

/// Whether the last of the values that reached a threshold reached that of `on`.
fn is_on(values: &[Option<i64>], on: i64, off: i64) -> bool {
    let reached = values.iter().rev().flatten().find_map(|value| {
        let is_on = if on > off { *value >= on } else { *value <= on };
        let is_off = if on > off { *value <= off } else { *value >= off };
        (is_on || is_off).then_some(is_on)
    });
    reached.unwrap_or_default()
}

/// The value of the last of the runs that were long enough; the rows are those of one key up to the one that is looked at.
fn stood<T: Clone + PartialEq>(rows: &[(i64, Option<T>)], stands_ms: i64) -> Option<T> {
    let mut runs: Vec<(T, i64, i64)> = Vec::new();
    for (at_ms, value) in rows {
        // A run lasts until the row that begins the next one, or the last row of all.
        if let Some((_, _, end)) = runs.last_mut() {
            *end = *at_ms;
        }
        let Some(value) = value else { continue };
        if runs.last().is_none_or(|(last, ..)| last != value) {
            runs.push((value.clone(), *at_ms, *at_ms));
        }
    }
    runs.into_iter().rev().find(|(_, begun, end)| end - begun >= stands_ms).map(|(value, ..)| value)
}

/// The rows in the order of time, then of arrival, and the late rows.
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
    let shown = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
    let row = |(at, reading): (usize, &&Reading)| {
        let before = on_time[..=at].iter().filter(|other| other.device == reading.device);
        let rows: Vec<(i64, Option<i64>)> = before.map(|row| (row.at_ms, row.n)).collect();
        let values: Vec<Option<i64>> = rows.iter().map(|(_, value)| *value).collect();
        let named = |n: i64| if n > 0 { r#""up""# } else { r#""down""# };
        let texts: Vec<(i64, Option<&str>)> = rows.iter().map(|(at, n)| (*at, n.map(named))).collect();
        let (on, off, stands_ms) = (setting.on, setting.off, setting.stands_ms);
        let (x_on, x_off) = if reading.device == 0 { (off, on) } else { (on, off) };
        format!(
            r#"{{"ts":{},"device":"d{}","n":{},"h":{},"before":{},"d":{},"t":{},"x":{}}}"#,
            time(reading.at_ms),
            reading.device,
            shown(reading.n),
            is_on(&values, on, off),
            shown(values.len().checked_sub(2).and_then(|before| values[before])),
            shown(stood(&rows, stands_ms)),
            stood(&texts, stands_ms).unwrap_or("null"),
            is_on(&values, x_on, x_off),
        )
    };
    (on_time.iter().enumerate().map(row).collect(), late)
}

fn planned(setting: &Setting) -> Arc<Plan> {
    let select = Select { allowed_lateness_us: setting.lateness_ms * 1_000, ..Select::bare(query(setting)) };
    Arc::new(plan(&select, &Catalog::new([homes(setting.delay_ms)])).unwrap())
}

fn engine(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let plan = planned(setting);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    (selected(&plan, &emitted.rows), late(&emitted.late))
}

async fn on_history(setting: &Setting) -> Vec<String> {
    let context = SessionContext::new_with_state(with_functions(SessionContext::new().state()));
    context.register_batch("homes", batch(&setting.readings)).unwrap();
    let batches = context.sql(&query(setting)).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| lines(batch, &[])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn signals_are_those_of_the_model_however_the_stream_is_cut(setting in settings()) {
        let (rows, late) = engine(&setting);
        let (expected_rows, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(rows, expected_rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_gives_the_signals_of_the_pipeline(setting in settings()) {
        // Without late rows, and without two of one time, whose order a table does not know.
        let mut times = std::collections::HashSet::new();
        let mut readings = setting.readings.clone();
        readings.retain(|reading| times.insert(reading.at_ms));
        let setting = Setting { delay_ms: 100_000, readings, ..setting };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut rows, late) = engine(&setting);
        prop_assert_eq!(late, Vec::<String>::new());
        let mut history = runtime.block_on(on_history(&setting));
        rows.sort();
        history.sort();
        prop_assert_eq!(history, rows);
    }
}

/// A value or two of each key are kept, however many rows it has had.
#[test]
fn state_grows_with_keys_and_not_with_rows() {
    let readings = |rows: i64| -> Vec<Reading> {
        (0..rows).map(|at| Reading { at_ms: at * 100, device: (at % 4) as u8, n: Some(at / 7 % 9) }).collect()
    };
    let setting = Setting {
        delay_ms: 0,
        lateness_ms: 0,
        on: 5,
        off: 2,
        stands_ms: 300,
        readings: Vec::new(),
        cuts: vec![1_000],
        restart_every: 0,
    };
    let sql = query(&setting).replace("LAG(n) OVER w AS before,", "");
    let plan = Arc::new(plan(&Select::bare(sql), &Catalog::new([homes(0)])).unwrap());
    let state_bytes = |rows: i64| driven(&plan, &batch(&readings(rows)), &setting.cuts, 0).1.state_bytes();
    let (few, many) = (state_bytes(1_000), state_bytes(50_000));
    assert!(few > 0, "keys take memory");
    assert_eq!(few, many);
}

#[test]
fn a_plan_tells_what_is_remembered() {
    let sql = "SELECT hysteresis(n, 5, 2) OVER w AS h, debounce(n, INTERVAL '5' SECOND) OVER w AS d
               FROM homes WINDOW w AS (PARTITION BY device ORDER BY ts)";
    let plan = plan(&Select::bare(sql), &Catalog::new([homes(0)])).unwrap();
    let over: Vec<String> =
        plan.explain().into_iter().filter(|step| step.step == "over").map(|step| step.detail).collect();
    assert_eq!(over, ["hysteresis(CAST(n AS Float64), 5, 2), debounce(n for 5 s); by device"]);
}
