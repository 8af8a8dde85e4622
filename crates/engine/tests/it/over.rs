//! Functions with OVER on random streams against a model that looks at all rows, and against DataFusion over history.

use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use proptest::prelude::*;
use springhouse_engine::Catalog;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::Select;

use crate::case::{driven, late, selected};
use crate::hub::lines;
use crate::readings::{Reading, batch, cuts, homes, readings, time};

#[derive(Clone, Debug)]
struct Setting {
    delay_ms: i64,
    lateness_ms: i64,
    /// How far the frames reach back and how near they end, in rows and milliseconds.
    rows: [u64; 2],
    back_ms: [i64; 2],
    lag: u64,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn settings() -> impl Strategy<Value = Setting> {
    let delay = prop::sample::select(vec![0, 100, 1_000, 5_000]);
    let lateness = prop::sample::select(vec![0, 0, 500]);
    let frames = ((0..6_u64, 0..6_u64), (0..40_i64, 0..40_i64), 0..5_u64);
    (delay, lateness, frames, readings(300, -100..100), cuts(), 0..4_usize).prop_map(
        |(delay_ms, lateness_ms, ((a, b), (c, d), lag), readings, cuts, restart_every)| Setting {
            delay_ms,
            lateness_ms,
            rows: [a.max(b), a.min(b)],
            back_ms: [c.max(d) * 100, c.min(d) * 100],
            lag,
            readings,
            cuts,
            restart_every,
        },
    )
}

fn query(setting: &Setting) -> String {
    let [from, to] = setting.rows;
    let [from_ms, to_ms] = setting.back_ms.map(|ms| format!("INTERVAL '{ms}' MILLISECOND PRECEDING"));
    // CURRENT ROW is the same as no time at all.
    let to_ms = if setting.back_ms[1] == 0 { "CURRENT ROW".to_owned() } else { to_ms };
    format!(
        "SELECT ts, device, n, LAG(n, {}) OVER (PARTITION BY device ORDER BY ts) AS before,
            sum(n) OVER rows AS s, count(*) OVER rows AS c, count(n) OVER time AS v, max(n) OVER time AS hi,
            first_value(n) OVER rows AS f, last_value(n) OVER rows AS l
         FROM homes WINDOW rows AS (PARTITION BY device ORDER BY ts ROWS BETWEEN {from} PRECEDING AND {to} PRECEDING),
            time AS (PARTITION BY device ORDER BY ts RANGE BETWEEN {from_ms} AND {to_ms})",
        setting.lag
    )
}

/// The rows in the order of time, then of arrival, and the late rows.
fn model(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let (mut largest, mut on_time, mut late) = (None, Vec::new(), Vec::new());
    for reading in &setting.readings {
        let watermark = largest.map(|largest: i64| largest - setting.delay_ms - setting.lateness_ms);
        largest = largest.max(Some(reading.at_ms));
        match watermark {
            Some(watermark) if reading.at_ms < watermark => {
                late.push(format!(
                    "{}d{} {}",
                    time(reading.at_ms),
                    reading.device,
                    (watermark - reading.at_ms) * 1_000
                ));
            }
            _ => on_time.push(reading),
        }
    }
    on_time.sort_by_key(|reading| reading.at_ms);
    let shown = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
    let row = |(at, reading): (usize, &&Reading)| {
        let same: Vec<(usize, &Reading)> =
            on_time.iter().copied().enumerate().filter(|(_, other)| other.device == reading.device).collect();
        let here = same.iter().position(|(other, _)| *other == at).unwrap() as i64;
        let by_rows = |from: u64, to: u64| -> Vec<Option<i64>> {
            let wanted = here - from as i64..=here - to as i64;
            same.iter()
                .zip(0_i64..)
                .filter(|(_, at)| wanted.contains(at))
                .map(|((_, row), _)| row.n)
                .collect()
        };
        let rows = by_rows(setting.rows[0], setting.rows[1]);
        let wanted = reading.at_ms - setting.back_ms[0]..=reading.at_ms - setting.back_ms[1];
        let by_time: Vec<i64> =
            same.iter().filter(|(_, row)| wanted.contains(&row.at_ms)).filter_map(|(_, row)| row.n).collect();
        let values: Vec<i64> = rows.iter().copied().flatten().collect();
        format!(
            r#"{{"ts":{},"device":"d{}","n":{},"before":{},"s":{},"c":{},"v":{},"hi":{},"f":{},"l":{}}}"#,
            time(reading.at_ms),
            reading.device,
            shown(reading.n),
            shown(by_rows(setting.lag, setting.lag).first().copied().flatten()),
            shown((!values.is_empty()).then(|| values.iter().sum())),
            rows.len(),
            by_time.len(),
            shown(by_time.iter().max().copied()),
            shown(rows.first().copied().flatten()),
            shown(rows.last().copied().flatten()),
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
    let context = SessionContext::new();
    context.register_batch("homes", batch(&setting.readings)).unwrap();
    let batches = context.sql(&query(setting)).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| lines(batch, &[])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_look_back_as_in_the_model_however_the_stream_is_cut(setting in settings()) {
        let (rows, late) = engine(&setting);
        let (expected_rows, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(rows, expected_rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_looks_back_as_the_pipeline_did(setting in settings()) {
        // Without late rows, and without two of one time, whose order a table does not know.
        let mut readings = setting.readings.clone();
        readings.iter_mut().zip(0..).for_each(|(reading, at)| reading.at_ms += at);
        let mut times = std::collections::HashSet::new();
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
