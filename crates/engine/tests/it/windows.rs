//! Windows over random streams against a model that looks at one row after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::Select;
use springhouse_engine::{Catalog, StreamTable, history};
use springhouse_model::ValueType;
use springhouse_schema::{Field, Schema};

use crate::case::{decode, driven, late, selected};
use crate::hub::{at, lines};

/// One row of the stream; times in milliseconds from the beginning of the tests.
#[derive(Clone, Debug)]
struct Reading {
    at_ms: i64,
    device: u8,
    n: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tumble,
    /// With the slide in milliseconds; when expanded, the query computes with the bounds of windows before it aggregates.
    Hop {
        slide_ms: i64,
        expanded: bool,
    },
    /// The size is the gap.
    Session,
}

#[derive(Clone, Debug)]
struct Setting {
    kind: Kind,
    size_ms: i64,
    delay_ms: i64,
    lateness_ms: i64,
    readings: Vec<Reading>,
    /// Sizes of the pieces in which the stream comes, used in turn.
    cuts: Vec<usize>,
    /// After how many pieces the pipeline is restarted; 0 for never.
    restart_every: usize,
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    // Time goes on by a random step, and each row is up to twelve seconds behind it.
    let step = prop_oneof![8 => 0..200_i64, 1 => 0..30_000_i64];
    let behind = prop_oneof![6 => 0..2_000_i64, 1 => 0..12_000_i64];
    let n = prop::option::weighted(0.9, -1_000..1_000_i64);
    prop::collection::vec((step, behind, 0..5_u8, n), 0..700).prop_map(|rows| {
        let mut now = 20_000;
        let reading = |(step, behind, device, n)| {
            now += step;
            Reading { at_ms: now - behind, device, n }
        };
        rows.into_iter().map(reading).collect()
    })
}

fn kinds() -> impl Strategy<Value = Kind> {
    let slide_ms = prop::sample::select(vec![100, 250, 700, 1_000, 3_000, 60_000]);
    prop_oneof![
        1 => Just(Kind::Tumble),
        3 => (slide_ms, prop::bool::weighted(0.3)).prop_map(|(slide_ms, expanded)| Kind::Hop { slide_ms, expanded }),
        3 => Just(Kind::Session),
    ]
}

fn settings() -> impl Strategy<Value = Setting> {
    let size = prop::sample::select(vec![1, 250, 1_000, 7_000, 60_000]);
    let delay = prop::sample::select(vec![0, 1, 1_000, 5_000, 20_000]);
    let lateness = prop::sample::select(vec![0, 0, 500, 10_000]);
    let cut = prop_oneof![3 => 1..10_usize, 2 => 10..300_usize, 1 => 300..65_537_usize];
    let cuts = prop::collection::vec(cut, 1..6);
    (kinds(), size, delay, lateness, readings(), cuts, 0..4_usize).prop_map(
        |(kind, size_ms, delay_ms, lateness_ms, readings, cuts, restart_every)| Setting {
            kind,
            size_ms,
            delay_ms,
            lateness_ms,
            readings,
            cuts,
            restart_every,
        },
    )
}

/// What is remembered of a group.
#[derive(Clone, Debug, Default)]
struct Group {
    rows: i64,
    values: Vec<i64>,
}

impl Group {
    fn add(&mut self, reading: &Reading) {
        self.rows += 1;
        self.values.extend(reading.n);
    }
}

/// The windows of the result by end, device and start, and the late rows with what they were late by in milliseconds.
#[derive(Default)]
struct Model {
    windows: BTreeMap<(i64, u8, i64), Group>,
    late: Vec<(i64, u8, i64)>,
}

impl Model {
    /// Rows are judged one by one: a row is late when the largest time before it, less the delay, has reached the end of
    /// its last window and the allowed lateness.
    fn aligned(setting: &Setting, slide_ms: i64) -> Model {
        let mut model = Model::default();
        for (reading, watermark) in judged(setting) {
            // All windows that hold the row, found by trying.
            let last = reading.at_ms.div_euclid(slide_ms);
            let tried = (last - setting.size_ms / slide_ms - 1..=last).map(|number| number * slide_ms);
            let starts: Vec<i64> = tried.filter(|start| reading.at_ms < start + setting.size_ms).collect();
            let closes = |start: &i64| start + setting.size_ms + setting.lateness_ms;
            let is_open = |start: &&i64| watermark.is_none_or(|watermark| watermark < closes(start));
            for start in starts.iter().filter(is_open) {
                let window = (start + setting.size_ms, reading.device, *start);
                model.windows.entry(window).or_default().add(reading);
            }
            if let (Some(last), Some(watermark)) = (starts.last(), watermark)
                && watermark >= closes(last)
            {
                model.late.push((reading.at_ms, reading.device, watermark - closes(last)));
            }
        }
        model
    }

    /// Before each row, sessions that the watermark has passed are over. The row is in every session that is then
    /// less than the gap away, which become one; without one it begins its own, or is late for that.
    fn sessions(setting: &Setting) -> Model {
        let (mut model, mut open) = (Model::default(), Vec::<(u8, i64, i64, Group)>::new());
        let gap = setting.size_ms;
        for (reading, watermark) in judged(setting) {
            let is_over =
                |last: i64| watermark.is_some_and(|watermark| watermark >= last + gap + setting.lateness_ms);
            for (device, start, last, group) in open.extract_if(.., |(_, _, last, _)| is_over(*last)) {
                model.windows.insert((last + gap, device, start), group);
            }
            let at = reading.at_ms;
            let is_near = |(device, start, last, _): &mut (u8, i64, i64, Group)| {
                *device == reading.device && at < *last + gap && *start < at + gap
            };
            let near: Vec<_> = open.extract_if(.., is_near).collect();
            if near.is_empty() && is_over(at) {
                let late_by = watermark.unwrap() - (at + gap + setting.lateness_ms);
                model.late.push((at, reading.device, late_by));
                continue;
            }
            let (mut start, mut last, mut whole) = (at, at, Group::default());
            for (_, other_start, other_last, group) in near {
                (start, last) = (start.min(other_start), last.max(other_last));
                whole.rows += group.rows;
                whole.values.extend(group.values);
            }
            whole.add(reading);
            open.push((reading.device, start, last, whole));
        }
        for (device, start, last, group) in open {
            model.windows.insert((last + gap, device, start), group);
        }
        model
    }
}

/// The rows that the query wants, each with the watermark before it. Those that it leaves out move the watermark, and are
/// never late themselves.
fn judged(setting: &Setting) -> impl Iterator<Item = (&Reading, Option<i64>)> {
    let mut largest: Option<i64> = None;
    setting.readings.iter().filter_map(move |reading| {
        let watermark = largest.map(|largest| largest - setting.delay_ms);
        largest = largest.max(Some(reading.at_ms));
        (reading.n != Some(13)).then_some((reading, watermark))
    })
}

/// The rows of the result and the late rows, as text.
fn model(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let Model { windows, late } = match setting.kind {
        Kind::Tumble => Model::aligned(setting, setting.size_ms),
        Kind::Hop { slide_ms, .. } => Model::aligned(setting, slide_ms),
        Kind::Session => Model::sessions(setting),
    };
    let rows = windows.iter().filter(|(_, group)| group.rows > 1).map(|((end, device, start), group)| {
        let shown = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
        let sum = (!group.values.is_empty()).then(|| group.values.iter().sum::<i64>());
        format!(
            r#"{{"window_start":{},"window_end":{},"device":"d{device}","c":{},"v":{},"s":{},"lo":{},"hi":{}}}"#,
            time(*start),
            time(*end),
            group.rows,
            group.values.len(),
            shown(sum),
            shown(group.values.iter().min().copied()),
            shown(group.values.iter().max().copied()),
        )
    });
    let late = late.iter().map(|(at, device, by)| format!("{}d{device} {}", time(*at), by * 1_000));
    (rows.collect(), late.collect())
}

fn time(ms: i64) -> String {
    at(ms as f64 / 1e3)
}

fn query(setting: &Setting, source: &str) -> String {
    let wanted = "n IS NULL OR n <> 13";
    let interval = |ms: i64| format!("INTERVAL '{ms}' MILLISECOND");
    let size = interval(setting.size_ms);
    let from = match setting.kind {
        Kind::Tumble => format!("TUMBLE({source}, ts, {size}) WHERE {wanted}"),
        Kind::Hop { slide_ms, expanded } => {
            let always = if expanded { "AND window_start < window_end" } else { "" };
            format!("HOP({source}, ts, {}, {size}) WHERE ({wanted}) {always}", interval(slide_ms))
        }
        Kind::Session => {
            format!("SESSION((SELECT * FROM {source} WHERE {wanted}), ts, {size}, device)")
        }
    };
    format!(
        "SELECT window_start, window_end, device, count(*) AS c, count(n) AS v, sum(n) AS s, min(n) AS lo, max(n) AS hi
         FROM {from} GROUP BY window_start, window_end, device HAVING count(*) > 1"
    )
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("n", ValueType::Int)])
}

fn planned(setting: &Setting) -> Arc<Plan> {
    let table = StreamTable {
        name: "homes".parse().unwrap(),
        schema: schema(),
        watermark_delay_us: setting.delay_ms * 1_000,
    };
    let select =
        Select { allowed_lateness_us: setting.lateness_ms * 1_000, ..Select::bare(query(setting, "homes")) };
    Arc::new(plan(&select, &Catalog::new([table])).unwrap())
}

fn batch(readings: &[Reading]) -> RecordBatch {
    let line = |reading: &Reading| {
        let n = reading.n.map_or("null".to_owned(), |n| n.to_string());
        format!(r#"{{"ts":{},"device":"d{}","n":{n}}}"#, time(reading.at_ms), reading.device)
    };
    decode(Arc::new(schema()), &readings.iter().map(line).collect::<Vec<_>>())
}

/// The rows and late rows of the engine.
fn engine(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let plan = planned(setting);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    (selected(&plan, &emitted.rows), late(&emitted.late))
}

/// The same SELECT as a query over a table.
async fn on_history(setting: &Setting) -> Vec<String> {
    let context = SessionContext::new();
    for planner in history::relation_planners() {
        context.register_relation_planner(planner).unwrap();
    }
    context.register_batch("homes", batch(&setting.readings)).unwrap();
    let sql = query(setting, "(SELECT * FROM homes)") + " ORDER BY window_end, device, window_start";
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    batches.iter().flat_map(|batch| lines(batch, &[])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_those_of_the_model_however_the_stream_is_cut(setting in settings()) {
        let (rows, late) = engine(&setting);
        let (expected_rows, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(rows, expected_rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_gives_the_rows_that_the_pipeline_gave(setting in settings()) {
        // Without late rows: history has no watermark, and counts every row.
        let setting = Setting { delay_ms: 100_000, ..setting };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (rows, late) = engine(&setting);
        prop_assert_eq!(late, Vec::<String>::new());
        prop_assert_eq!(runtime.block_on(on_history(&setting)), rows);
    }
}
