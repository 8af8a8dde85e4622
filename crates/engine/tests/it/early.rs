//! Early results of windows on random streams, against a model that looks at one row after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use springhouse_engine::Catalog;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::Select;

use crate::case::driven;
use crate::hub::{Hub, at, lines, row};
use crate::readings::{Reading, batch, cuts, homes, readings, time};

#[derive(Clone, Debug)]
struct Setting {
    delay_ms: i64,
    lateness_ms: i64,
    slide_ms: i64,
    /// Windows that a row is in.
    overlap: i64,
    every_ms: i64,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn settings() -> impl Strategy<Value = Setting> {
    let times = (prop::sample::select(vec![0, 100, 1_000, 5_000]), prop::sample::select(vec![0, 0, 500]));
    let windows = (prop::sample::select(vec![500, 1_000, 3_000, 7_000]), 1..4_i64);
    let every = prop::sample::select(vec![100, 300, 1_000, 2_000, 10_000]);
    (times, windows, every, readings(100, -10..10), cuts(), 0..4_usize).prop_map(
        |((delay_ms, lateness_ms), (slide_ms, overlap), every_ms, readings, cuts, restart_every)| Setting {
            delay_ms,
            lateness_ms,
            slide_ms,
            overlap,
            every_ms,
            readings,
            cuts,
            restart_every,
        },
    )
}

fn planned(setting: &Setting, emit_every_us: Option<i64>) -> Arc<Plan> {
    let (slide, size) = (setting.slide_ms, setting.slide_ms * setting.overlap);
    let window = match setting.overlap {
        1 => format!("TUMBLE(homes, ts, INTERVAL '{size}' MILLISECOND)"),
        _ => format!("HOP(homes, ts, INTERVAL '{slide}' MILLISECOND, INTERVAL '{size}' MILLISECOND)"),
    };
    let text = format!(
        "SELECT device, window_end, count(*) AS c, sum(n) AS s FROM {window} WHERE n IS NULL OR n <> 7
         GROUP BY device, window_end HAVING count(*) <> 3"
    );
    let allowed_lateness_us = setting.lateness_ms * 1_000;
    let select = Select { allowed_lateness_us, emit_every_us, ..Select::bare(text) };
    Arc::new(plan(&select, &Catalog::new([homes(setting.delay_ms)])).unwrap())
}

fn engine(setting: &Setting, emit_every_us: Option<i64>) -> Vec<String> {
    let plan = planned(setting, emit_every_us);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    let line = |batch| lines(batch, &["site", "_received", "_id"]);
    emitted.rows.iter().flat_map(line).collect()
}

/// Count and sum of a device.
type Result = (u32, Option<i64>);

#[derive(Default)]
struct Model {
    /// By the end of the window, then by device.
    open: BTreeMap<i64, BTreeMap<u8, Result>>,
    given: BTreeMap<i64, BTreeMap<u8, Result>>,
    due: Option<i64>,
    out: Vec<String>,
}

impl Model {
    fn run(setting: &Setting) -> Vec<String> {
        let (mut model, mut largest) = (Model::default(), None);
        for reading in &setting.readings {
            let watermark = largest.map(|largest: i64| largest - setting.delay_ms - setting.lateness_ms);
            largest = largest.max(Some(reading.at_ms));
            if reading.n == Some(7) {
                continue;
            }
            let passed = largest.map(|largest| largest - setting.delay_ms - setting.lateness_ms).unwrap();
            model.line(passed);
            watermark.into_iter().for_each(|watermark| model.close(watermark));
            // The slice that the row is in ends here, and so does its first window.
            let first = reading.at_ms - reading.at_ms.rem_euclid(setting.slide_ms) + setting.slide_ms;
            let ends = (0..setting.overlap).map(|number| first + number * setting.slide_ms);
            let ends: Vec<i64> =
                ends.filter(|end| watermark.is_none_or(|watermark| *end > watermark)).collect();
            if !ends.is_empty() {
                let next = (passed.div_euclid(setting.every_ms) + 1) * setting.every_ms;
                model.due = model.due.or(Some(next));
            }
            for end in ends {
                let (count, sum) = model.open.entry(end).or_default().entry(reading.device).or_default();
                *count += 1;
                *sum = reading.n.map(|n| n + sum.unwrap_or(0)).or(*sum);
            }
        }
        model.line(i64::MAX);
        model.close(i64::MAX);
        model.out
    }

    fn line(&mut self, passed: i64) {
        if let Some(line) = self.due.take_if(|due| *due <= passed) {
            self.close(line);
            for (end, results) in self.open.clone() {
                self.give(end, line, &results, false);
            }
        }
    }

    fn close(&mut self, until: i64) {
        while let Some((end, _)) = self.open.first_key_value()
            && *end <= until
            && let Some((end, results)) = self.open.pop_first()
        {
            self.give(end, end, &results, true);
            self.given.remove(&end);
        }
    }

    fn give(&mut self, end: i64, ts: i64, results: &BTreeMap<u8, Result>, is_final: bool) {
        let before = self.given.insert(end, results.clone()).unwrap_or_default();
        for (device, result) in results {
            let earlier = before.get(device);
            if earlier == Some(result) && !is_final {
                continue;
            }
            let taken_back = earlier.map(|earlier| (earlier, -1, false));
            for ((count, sum), diff, is_final) in taken_back.into_iter().chain([(result, 1, is_final)]) {
                let sum = sum.map_or("null".to_owned(), |sum| sum.to_string());
                let (ts, window_end) = (time(ts), time(end));
                if *count != 3 {
                    self.out.push(format!(
                        r#"{{"ts":{ts},"device":"d{device}","window_end":{window_end},"c":{count},"s":{sum},"diff":{diff},"is_final":{is_final}}}"#
                    ));
                }
            }
        }
    }
}

/// Rows that were in the order of time before they came to their window.
fn in_order(setting: &Setting, cuts: &[usize], restart_every: usize) -> Vec<String> {
    let (size, every) = (setting.slide_ms * setting.overlap, setting.every_ms);
    let text = format!(
        "SELECT window_end, count(*) AS c, sum(before) AS s FROM TUMBLE((SELECT ts, LAG(n) OVER (PARTITION BY device
         ORDER BY ts) AS before FROM homes), ts, INTERVAL '{size}' MILLISECOND) GROUP BY window_end"
    );
    let select = Select { emit_every_us: Some(every * 1_000), ..Select::bare(text) };
    let plan = Arc::new(plan(&select, &Catalog::new([homes(setting.delay_ms)])).unwrap());
    let (emitted, _) = driven(&plan, &batch(&setting.readings), cuts, restart_every);
    emitted.rows.iter().flat_map(|batch| lines(batch, &[])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn those_of_rows_that_waited_for_their_turn_do_not_depend_on_cuts(setting in settings()) {
        let cut = in_order(&setting, &setting.cuts, setting.restart_every);
        prop_assert_eq!(&cut, &in_order(&setting, &[usize::MAX], 0));
        prop_assert_eq!(cut, in_order(&setting, &[1], 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn they_are_those_of_the_model_however_the_stream_is_cut(setting in settings()) {
        let found = engine(&setting, Some(setting.every_ms * 1_000));
        prop_assert_eq!(&found, &Model::run(&setting));
    }

    /// What is not taken back is what the query gives without them.
    #[test]
    fn what_counts_in_the_end_are_the_final_results(setting in settings()) {
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        for line in engine(&setting, Some(setting.every_ms * 1_000)) {
            let row: serde_json::Value = serde_json::from_str(&line).unwrap();
            let result = format!("{} {} {} {}", row["device"], row["window_end"], row["c"], row["s"]);
            *counted.entry(result).or_default() += row["diff"].as_i64().unwrap();
        }
        counted.retain(|_, times| *times != 0);
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for line in engine(&setting, None) {
            let row: serde_json::Value = serde_json::from_str(&line).unwrap();
            let result = format!("{} {} {} {}", row["device"], row["window_end"], row["c"], row["s"]);
            *expected.entry(result).or_default() += 1;
        }
        prop_assert_eq!(counted, expected);
    }
}

const SO_FAR: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts IDLE AFTER INTERVAL '10' MILLISECOND);
    CREATE PIPELINE so_far INTO sums EMIT EVERY INTERVAL '1' SECOND AS SELECT device, window_end, sum(n) AS s
        FROM TUMBLE(homes, ts, INTERVAL '1' HOUR) GROUP BY device, window_end";

/// Silence brings time to the next line, and a crash neither loses nor repeats anything.
#[tokio::test]
async fn a_hub_gives_them_when_rows_stop_and_goes_on_after_a_crash() {
    let mut hub = Hub::new().await;
    hub.sql(SO_FAR).await;
    hub.send("homes", "a", &[row(10.0, 1), row(10.5, 2)]).await;
    hub.until("the first is there", async || hub.rows("sums").len() == 1).await;
    hub.crash().await;
    hub.start().await;
    hub.send("homes", "a", &[row(12.0, 4)]).await;
    hub.until("the second is there", async || hub.rows("sums").len() == 3).await;
    hub.stop().await;
    hub.start().await;
    hub.settled().await;
    let line = |second: f64, s: i64, diff: i64| {
        let (ts, end) = (at(second), at(3_600.0));
        format!(r#"{{"ts":{ts},"device":"a","window_end":{end},"s":{s},"diff":{diff},"is_final":false}}"#)
    };
    assert_eq!(hub.rows("sums"), [line(11.0, 3, 1), line(13.0, 3, -1), line(13.0, 7, 1)]);
}
