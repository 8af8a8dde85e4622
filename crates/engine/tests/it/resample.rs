//! Rows at even times, on random streams against a model that walks along the grid, and against history.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::Select;
use springhouse_engine::{Catalog, history};

use crate::case::{driven, selected};
use crate::hub::lines;
use crate::readings::{Reading, batch, cuts, homes, readings, time};

#[derive(Clone, Debug)]
struct Setting {
    step_ms: i64,
    gap_ms: i64,
    is_linear: bool,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn settings() -> impl Strategy<Value = Setting> {
    let step = prop::sample::select(vec![100, 300, 1_000, 7_000]);
    (step, 1..5_i64, any::<bool>(), readings(300, -50..50), cuts(), 0..4_usize).prop_map(
        |(step_ms, steps, is_linear, readings, cuts, restart_every)| Setting {
            step_ms,
            gap_ms: step_ms * steps,
            is_linear,
            readings,
            cuts,
            restart_every,
        },
    )
}

fn query(setting: &Setting, stream: &str) -> String {
    let function = if setting.is_linear { "INTERPOLATE" } else { "LOCF" };
    let (step, gap) = (setting.step_ms, setting.gap_ms);
    format!(
        "SELECT ts, device, n FROM
         {function}({stream}, ts, INTERVAL '{step}' MILLISECOND, INTERVAL '{gap}' MILLISECOND, device)"
    )
}

/// Later than all the readings are disordered, so that none is late.
const DELAY_MS: i64 = 100_000;

fn planned(setting: &Setting) -> Arc<Plan> {
    Arc::new(plan(&Select::bare(query(setting, "homes")), &Catalog::new([homes(DELAY_MS)])).unwrap())
}

/// What stands at each time of the grid, by looking for the readings around it.
fn model(setting: &Setting) -> Vec<String> {
    let mut by_device: BTreeMap<u8, Vec<&Reading>> = BTreeMap::new();
    for reading in &setting.readings {
        by_device.entry(reading.device).or_default().push(reading);
    }
    let mut all = Vec::new();
    for (device, mut readings) in by_device {
        readings.sort_by_key(|reading| reading.at_ms);
        let (first, last) = (readings[0].at_ms, readings[readings.len() - 1].at_ms);
        let steps = first.div_euclid(setting.step_ms)..=last.div_euclid(setting.step_ms);
        for at in steps.map(|number| number * setting.step_ms) {
            // The first reading at or behind the time; before it, the last of those that were earlier.
            let Some(next) = readings.iter().position(|reading| reading.at_ms >= at) else { continue };
            let here = readings[next];
            let n = if here.at_ms == at {
                here.n.map(|n| n as f64)
            } else {
                let Some(before) = next.checked_sub(1).map(|before| readings[before]) else { continue };
                if here.at_ms - before.at_ms > setting.gap_ms {
                    continue;
                }
                match (setting.is_linear, before.n, here.n) {
                    (true, Some(from), Some(to)) => {
                        let part = (at - before.at_ms) as f64 / (here.at_ms - before.at_ms) as f64;
                        Some(from as f64 + (to - from) as f64 * part)
                    }
                    (true, ..) => None,
                    (false, from, _) => from.map(|n| n as f64),
                }
            };
            all.push(shown(&time(at), &format!("d{device}"), n));
        }
    }
    all.sort();
    all
}

fn shown(ts: &str, device: &str, n: Option<f64>) -> String {
    format!("{} {device} {}", ts.trim_matches('"'), n.map_or("null".to_owned(), |n| format!("{n:.6}")))
}

fn sorted(rows: Vec<String>) -> Vec<String> {
    let row = |line: String| {
        let row: serde_json::Value = serde_json::from_str(&line).unwrap();
        shown(row["ts"].as_str().unwrap(), row["device"].as_str().unwrap(), row["n"].as_f64())
    };
    let mut rows: Vec<String> = rows.into_iter().map(row).collect();
    rows.sort();
    rows
}

fn engine(setting: &Setting) -> Vec<String> {
    let plan = planned(setting);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    assert!(emitted.late.is_empty());
    selected(&plan, &emitted.rows)
}

async fn on_history(setting: &Setting) -> Vec<String> {
    let context = SessionContext::new();
    for planner in history::relation_planners() {
        context.register_relation_planner(planner).unwrap();
    }
    context.register_batch("homes", batch(&setting.readings)).unwrap();
    let sql = query(setting, "(SELECT * FROM homes)");
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| lines(batch, &[])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_grid_is_filled_as_in_the_model_however_the_stream_is_cut(setting in settings()) {
        prop_assert_eq!(sorted(engine(&setting)), model(&setting));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_fills_the_grid_as_the_pipeline_did(setting in settings()) {
        // Without two of one time, whose order a table does not know.
        let mut times = std::collections::HashSet::new();
        let mut readings = setting.readings.clone();
        readings.retain(|reading| times.insert(reading.at_ms));
        let setting = Setting { readings, ..setting };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let history = runtime.block_on(on_history(&setting));
        prop_assert_eq!(sorted(history), sorted(engine(&setting)));
    }
}

/// Rows of many devices, each far behind the one before, are released together.
#[test]
fn what_is_given_at_once_has_a_bound() {
    let day_ms = 9_999_000;
    let far = |devices: u8| -> Vec<Reading> {
        let row = |at_ms| move |device| Reading { at_ms, device, n: Some(1) };
        (0..devices).map(row(0)).chain((0..devices).map(row(day_ms))).collect()
    };
    let (step_ms, gap_ms, cuts) = (1_000, day_ms, vec![usize::MAX]);
    let setting = Setting { step_ms, gap_ms, is_linear: true, readings: far(200), cuts, restart_every: 0 };
    let plan = planned(&setting);
    // 200 devices with 9,999 rows each are within it, all in one batch.
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, 0);
    assert_eq!(emitted.rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 200 * 9_999 + 200);
    let mut pipeline = plan.start();
    pipeline.push(0, &batch(&far(250))).unwrap();
    let error = pipeline.finish().unwrap_err().to_string();
    assert!(error.starts_with("more than 2000000 rows of a grid stand between rows"), "{error}");
}
