//! Random patterns over random streams against a model that goes back and tries again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::SessionStateBuilder;
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::{Select, Statement, parse_one};
use springhouse_engine::{Catalog, StreamTable, history};
use springhouse_model::ValueType;
use springhouse_schema::{Field, Schema};

use crate::case::{decode, driven};
use crate::hub::{EPOCH, at, lines};

const VARIABLES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Tree {
    Row(usize),
    Sequence(Vec<Tree>),
    Choice(Vec<Tree>),
    Repeat { tree: Box<Tree>, min: usize, max: Option<usize>, is_greedy: bool },
}

/// When a variable takes a row; each names values that are small whole numbers.
#[derive(Clone, Copy, Debug)]
enum Condition {
    Undefined,
    AtMost(i64),
    AtLeast(i64),
    Even,
    Rising(usize),
    AtLeastFirst(usize),
    DiffersFromLast(usize),
    SumAtMost(usize, i64),
    CountAtMost(i64),
}

/// One row of the stream; times in milliseconds from the beginning of the tests.
#[derive(Clone, Debug)]
struct Reading {
    at_ms: i64,
    device: u8,
    n: Option<i64>,
}

#[derive(Clone, Debug)]
struct Setting {
    tree: Tree,
    conditions: Vec<Condition>,
    within_ms: Option<i64>,
    until_time_is_over: bool,
    to_next_row: bool,
    delay_ms: i64,
    readings: Vec<Reading>,
    /// Sizes of the pieces in which the stream comes, used in turn.
    cuts: Vec<usize>,
    /// After how many pieces the pipeline is restarted; 0 for never.
    restart_every: usize,
}

fn trees() -> impl Strategy<Value = Tree> {
    let row = (0..VARIABLES.len()).prop_map(Tree::Row);
    row.prop_recursive(4, 10, 3, |inner| {
        let times = prop_oneof![
            Just((0, None)),
            Just((1, None)),
            Just((0, Some(1))),
            Just((2, None)),
            Just((2, Some(2))),
            Just((1, Some(3))),
            Just((0, Some(2))),
        ];
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            3 => several.clone().prop_map(Tree::Sequence),
            1 => several.prop_map(Tree::Choice),
            3 => (inner, times, prop::bool::weighted(0.7)).prop_map(|(tree, (min, max), is_greedy)| {
                Tree::Repeat { tree: Box::new(tree), min, max, is_greedy }
            }),
        ]
    })
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let variable = 0..VARIABLES.len();
    let condition = prop_oneof![
        1 => Just(Condition::Undefined),
        3 => (0..5_i64).prop_map(Condition::AtMost),
        3 => (0..5_i64).prop_map(Condition::AtLeast),
        2 => Just(Condition::Even),
        2 => (1..3_usize).prop_map(Condition::Rising),
        1 => variable.clone().prop_map(Condition::AtLeastFirst),
        1 => variable.clone().prop_map(Condition::DiffersFromLast),
        1 => (variable, 0..15_i64).prop_map(|(variable, most)| Condition::SumAtMost(variable, most)),
        1 => (1..6_i64).prop_map(Condition::CountAtMost),
    ];
    prop::collection::vec(condition, VARIABLES.len())
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    // Time stands still at times, and each row may be a little behind it.
    let step = prop_oneof![2 => Just(0), 6 => 0..1_500_i64, 1 => 0..8_000_i64];
    let behind = prop_oneof![6 => Just(0), 2 => 0..3_000_i64];
    let n = prop::option::weighted(0.9, 0..6_i64);
    prop::collection::vec((step, behind, 0..3_u8, n), 0..40).prop_map(|rows| {
        let mut now = 20_000;
        let reading = |(step, behind, device, n)| {
            now += step;
            Reading { at_ms: now - behind, device, n }
        };
        rows.into_iter().map(reading).collect()
    })
}

fn settings() -> impl Strategy<Value = Setting> {
    let within = prop::option::weighted(0.7, prop::sample::select(vec![1, 1_000, 4_000, 15_000]));
    let delay = prop::sample::select(vec![0, 1_000, 5_000]);
    let cuts = prop::collection::vec(prop_oneof![3 => 1..6_usize, 1 => 6..65_537_usize], 1..6);
    let shape = (trees(), conditions(), within, any::<bool>(), prop::bool::weighted(0.3));
    (shape, delay, readings(), cuts, 0..4_usize).prop_map(
        |((tree, conditions, within_ms, until, to_next_row), delay_ms, readings, cuts, restart_every)| {
            Setting {
                tree,
                conditions,
                within_ms,
                until_time_is_over: until && within_ms.is_some(),
                to_next_row,
                delay_ms,
                readings,
                cuts,
                restart_every,
            }
        },
    )
}

impl Tree {
    fn text(&self) -> String {
        let all =
            |trees: &[Tree], between: &str| trees.iter().map(Tree::text).collect::<Vec<_>>().join(between);
        match self {
            Tree::Row(variable) => VARIABLES[*variable].to_owned(),
            Tree::Sequence(trees) => format!("({})", all(trees, " ")),
            Tree::Choice(trees) => format!("({})", all(trees, " | ")),
            Tree::Repeat { tree, min, max, is_greedy } => {
                let times = match (min, max) {
                    (0, None) => "*".to_owned(),
                    (1, None) => "+".to_owned(),
                    (0, Some(1)) => "?".to_owned(),
                    (0, Some(max)) => format!("{{,{max}}}"),
                    (min, None) => format!("{{{min},}}"),
                    (min, Some(max)) if min == max => format!("{{{min}}}"),
                    (min, Some(max)) => format!("{{{min},{max}}}"),
                };
                format!("({}){times}{}", tree.text(), if *is_greedy { "" } else { "?" })
            }
        }
    }

    fn names(&self, wanted: usize) -> bool {
        match self {
            Tree::Row(variable) => *variable == wanted,
            Tree::Sequence(trees) | Tree::Choice(trees) => trees.iter().any(|tree| tree.names(wanted)),
            Tree::Repeat { tree, .. } => tree.names(wanted),
        }
    }
}

impl Condition {
    /// `None` when nothing is said, or said about a variable that the pattern does not name.
    fn text(self, tree: &Tree) -> Option<String> {
        let named = |variable: usize| tree.names(variable).then(|| VARIABLES[variable]);
        Some(match self {
            Condition::Undefined => return None,
            Condition::AtMost(most) => format!("n <= {most}"),
            Condition::AtLeast(least) => format!("n >= {least}"),
            Condition::Even => "n % 2 = 0".to_owned(),
            Condition::Rising(rows) => format!("n > PREV(n, {rows})"),
            Condition::AtLeastFirst(other) => format!("n >= FIRST({}.n)", named(other)?),
            Condition::DiffersFromLast(other) => format!("{}.n <> n", named(other)?),
            Condition::SumAtMost(other, most) => format!("SUM({}.n) <= {most}", named(other)?),
            Condition::CountAtMost(most) => format!("COUNT(*) <= {most}"),
        })
    }
}

/// A match as the model finds it: which variable took which row.
type Mapping = Vec<(usize, usize)>;

/// The rows of one device in their order, and what is asked of them.
struct Model<'a> {
    setting: &'a Setting,
    rows: Vec<&'a Reading>,
}

impl Model<'_> {
    /// Whether the last row of a mapping may be in it.
    fn fits(&self, mapping: &Mapping) -> bool {
        let Some((row, variable)) = mapping.last().copied() else { return false };
        let condition = self.setting.conditions[variable];
        if condition.text(&self.setting.tree).is_none() {
            return true;
        }
        let n = self.rows[row].n;
        let of = |wanted: usize| {
            mapping.iter().filter(move |(_, variable)| *variable == wanted).map(|(row, _)| self.rows[*row].n)
        };
        let both = |a: Option<i64>, b: Option<i64>, holds: fn(i64, i64) -> bool| {
            a.zip(b).is_some_and(|(a, b)| holds(a, b))
        };
        match condition {
            Condition::Undefined => true,
            Condition::AtMost(most) => both(n, Some(most), |n, most| n <= most),
            Condition::AtLeast(least) => both(n, Some(least), |n, least| n >= least),
            Condition::Even => n.is_some_and(|n| n % 2 == 0),
            Condition::Rising(rows) => {
                let before = row.checked_sub(rows).and_then(|before| self.rows[before].n);
                both(n, before, |n, before| n > before)
            }
            Condition::AtLeastFirst(other) => both(n, of(other).next().flatten(), |n, first| n >= first),
            Condition::DiffersFromLast(other) => {
                both(n, of(other).next_back().flatten(), |n, last| n != last)
            }
            Condition::SumAtMost(other, most) => {
                let values: Vec<i64> = of(other).flatten().collect();
                !values.is_empty() && values.iter().sum::<i64>() <= most
            }
            Condition::CountAtMost(most) => mapping.len() as i64 <= most,
        }
    }

    /// Tries all ways through a tree, the preferred ones first, until `then` is content with one.
    fn walk(
        &self,
        tree: &Tree,
        limit: usize,
        mapping: &mut Mapping,
        row: usize,
        then: &mut dyn FnMut(&mut Mapping, usize) -> bool,
    ) -> bool {
        match tree {
            Tree::Row(variable) => {
                if row >= limit {
                    return false;
                }
                mapping.push((row, *variable));
                let is_done = self.fits(mapping) && then(mapping, row + 1);
                if !is_done {
                    mapping.pop();
                }
                is_done
            }
            Tree::Sequence(trees) => match trees.split_first() {
                None => then(mapping, row),
                Some((first, rest)) => self.walk(first, limit, mapping, row, &mut |mapping, row| {
                    self.walk(&Tree::Sequence(rest.to_vec()), limit, mapping, row, then)
                }),
            },
            Tree::Choice(trees) => trees.iter().any(|tree| self.walk(tree, limit, mapping, row, then)),
            Tree::Repeat { .. } => self.repeat(tree, 0, limit, mapping, row, then),
        }
    }

    fn repeat(
        &self,
        repeated: &Tree,
        count: usize,
        limit: usize,
        mapping: &mut Mapping,
        row: usize,
        then: &mut dyn FnMut(&mut Mapping, usize) -> bool,
    ) -> bool {
        let Tree::Repeat { tree, min, max, is_greedy } = repeated else { unreachable!() };
        let is_enough = count >= *min;
        if is_enough && !*is_greedy && then(mapping, row) {
            return true;
        }
        let goes_on = max.is_none_or(|max| count < max);
        let is_done = goes_on
            && self.walk(tree, limit, mapping, row, &mut |mapping, next| {
                // Going round without a row leads nowhere.
                let stands_still = is_enough && max.is_none() && next == row;
                !stands_still && self.repeat(repeated, count + 1, limit, mapping, next, then)
            });
        is_done || (is_enough && *is_greedy && then(mapping, row))
    }

    /// The preferred match that begins at a row. The preferred one may be empty, which gives nothing.
    fn match_at(&self, first: usize) -> Option<Mapping> {
        let over = |row: usize| match self.setting.within_ms {
            Some(within) => self.rows[row].at_ms >= self.rows[first].at_ms + within,
            None => false,
        };
        let limit = (first..self.rows.len()).find(|row| over(*row)).unwrap_or(self.rows.len());
        let mut mapping = Vec::new();
        let until = self.setting.until_time_is_over;
        self.walk(&self.setting.tree, limit, &mut mapping, first, &mut |mapping, row| {
            !until || (row == limit && !mapping.is_empty())
        });
        (!mapping.is_empty()).then_some(mapping)
    }

    fn matches(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut first = 0;
        while first < self.rows.len() {
            let mapping = self.match_at(first);
            found.extend(mapping.as_ref().map(|mapping| self.shown(mapping)));
            first = match mapping.and_then(|mapping| mapping.last().copied()) {
                Some((last, _)) if !self.setting.to_next_row => last + 1,
                _ => first + 1,
            };
        }
        found
    }

    fn shown(&self, mapping: &Mapping) -> String {
        let n = |row: usize| self.rows[row].n;
        let at_ms = |row: usize| self.rows[row].at_ms;
        let (first, last) = (mapping[0].0, mapping[mapping.len() - 1]);
        let of_b: Vec<usize> = mapping.iter().filter(|(_, v)| *v == 1).map(|(row, _)| *row).collect();
        let all: Vec<i64> = mapping.iter().filter_map(|(row, _)| n(*row)).collect();
        let shown = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
        let time = match self.setting.until_time_is_over {
            true => at_ms(first) + self.setting.within_ms.unwrap(),
            false => at_ms(last.0),
        };
        let names_b = self.setting.tree.names(1);
        let b = |value: Option<i64>| if names_b { shown(value) } else { "null".to_owned() };
        format!(
            r#"{{"ts":{},"device":"d{}","f":{},"l":{},"c":{},"cb":{},"lb":{},"pb":{},"s":{},"lo":{},"hi":{},"f1":{},"l1":{},"v":"{}"}}"#,
            seconds(time),
            self.rows[first].device,
            seconds(at_ms(first)),
            seconds(at_ms(last.0)),
            mapping.len(),
            b(Some(of_b.len() as i64)),
            b(of_b.last().and_then(|row| n(*row))),
            b(of_b.last().and_then(|row| row.checked_sub(2)).and_then(n)),
            shown((!all.is_empty()).then(|| all.iter().sum())),
            shown(all.iter().min().copied()),
            shown(all.iter().max().copied()),
            shown(mapping.get(1).and_then(|(row, _)| n(*row))),
            shown(mapping.len().checked_sub(2).and_then(|at| n(mapping[at].0))),
            VARIABLES[last.1],
        )
    }
}

/// The matches in the order of device and first row, and how many rows come too late.
fn model(setting: &Setting) -> (Vec<String>, usize) {
    let (mut devices, mut largest, mut late) = (BTreeMap::<u8, Vec<&Reading>>::new(), None::<i64>, 0);
    for reading in &setting.readings {
        match largest.is_some_and(|largest| reading.at_ms < largest - setting.delay_ms) {
            true => late += 1,
            false => devices.entry(reading.device).or_default().push(reading),
        }
        largest = largest.max(Some(reading.at_ms));
    }
    let mut found: Vec<String> = Vec::new();
    for (_, mut rows) in devices {
        rows.sort_by_key(|row| row.at_ms);
        found.extend(Model { setting, rows }.matches());
    }
    found.sort();
    (found, late)
}

fn seconds(ms: i64) -> String {
    at(ms as f64 / 1e3)
}

fn query(setting: &Setting) -> String {
    let conditions = setting.conditions.iter().zip(VARIABLES).enumerate();
    let conditions = conditions.filter(|(variable, _)| setting.tree.names(*variable));
    let mut defined: Vec<String> = conditions
        .filter_map(|(_, (condition, name))| Some(format!("{name} AS {}", condition.text(&setting.tree)?)))
        .collect();
    if defined.is_empty() {
        // The grammar wants one.
        let named = (0..VARIABLES.len()).find(|variable| setting.tree.names(*variable)).unwrap();
        defined.push(format!("{} AS true", VARIABLES[named]));
    }
    let b = match setting.tree.names(1) {
        true => "COUNT(b.*) AS cb, b.n AS lb, PREV(b.n, 2) AS pb",
        false => "CAST(NULL AS BIGINT) AS cb, CAST(NULL AS BIGINT) AS lb, CAST(NULL AS BIGINT) AS pb",
    };
    let within = setting.within_ms.map(|ms| format!("WITHIN INTERVAL '{ms}' MILLISECOND"));
    format!(
        "SELECT ts, device, f, l, c, cb, lb, pb, s, lo, hi, f1, l1, v FROM homes MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts
         MEASURES MATCH_ROWTIME() AS ts, FIRST(ts) AS f, LAST(ts) AS l, COUNT(*) AS c, {b}, SUM(n) AS s, MIN(n) AS lo,
           MAX(homes.n) AS hi, FIRST(n, 1) AS f1, LAST(n, 1) AS l1, CLASSIFIER() AS v
         {} PATTERN ({}{}) {} DEFINE {})",
        if setting.to_next_row { "AFTER MATCH SKIP TO NEXT ROW" } else { "" },
        setting.tree.text(),
        if setting.until_time_is_over { " $" } else { "" },
        within.unwrap_or_default(),
        defined.join(", "),
    )
}

fn schema() -> Schema {
    Schema::new(vec![Field::new("n", ValueType::Int)])
}

/// `None` when the pattern is one that is refused: it prefers no row at all, or to go on for ever.
fn planned(setting: &Setting) -> Option<Arc<Plan>> {
    let table = StreamTable {
        name: "homes".parse().unwrap(),
        schema: schema(),
        watermark_delay_us: setting.delay_ms * 1_000,
    };
    match plan(&parsed(&query(setting)), &Catalog::new([table])) {
        Ok(plan) => Some(Arc::new(plan)),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("prefers to"), "{}: {error}", query(setting));
            None
        }
    }
}

/// As it comes from a person, with WITHIN.
fn parsed(sql: &str) -> Select {
    match parse_one(sql).unwrap() {
        Statement::Query(text) => Select::bare(text),
        other => panic!("{other:?}"),
    }
}

fn batch(readings: &[Reading]) -> RecordBatch {
    let line = |reading: &Reading| {
        let n = reading.n.map_or("null".to_owned(), |n| n.to_string());
        format!(r#"{{"ts":{},"device":"d{}","n":{n}}}"#, seconds(reading.at_ms), reading.device)
    };
    decode(Arc::new(schema()), &readings.iter().map(line).collect::<Vec<_>>())
}

/// The rows in the order in which they come out, and how many were late, when the stream comes in such pieces.
fn engine(plan: &Arc<Plan>, setting: &Setting, cuts: &[usize], restart_every: usize) -> (Vec<String>, usize) {
    let (emitted, pipeline) = driven(plan, &batch(&setting.readings), cuts, restart_every);
    assert!(pipeline.waits_for().is_empty());
    let rows = emitted.rows.iter().flat_map(|batch| lines(batch, &["site", "_received", "_id"]));
    (rows.collect(), emitted.late.iter().map(|batch| batch.num_rows()).sum())
}

/// The same SELECT as a query over a table.
async fn on_history(setting: &Setting) -> Vec<String> {
    let state = history::with_patterns(SessionStateBuilder::new()).with_default_features().build();
    let context = SessionContext::new_with_state(state);
    for planner in history::relation_planners() {
        context.register_relation_planner(planner).unwrap();
    }
    context.register_batch("homes", batch(&setting.readings)).unwrap();
    let Statement::Query(sql) = parse_one(&query(setting)).unwrap() else { panic!() };
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    let mut rows: Vec<String> = batches.iter().flat_map(|batch| lines(batch, &[])).collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_over_history_finds_what_the_pipeline_found(setting in settings()) {
        // Without late rows, which have no place on history, and without rows of one time, whose order it does not know.
        let mut setting = Setting { delay_ms: 100_000, ..setting };
        let mut times = BTreeSet::new();
        setting.readings.retain(|reading| times.insert(reading.at_ms));
        let Some(plan) = planned(&setting) else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut rows, late) = engine(&plan, &setting, &setting.cuts, setting.restart_every);
        rows.sort();
        prop_assert_eq!(late, 0);
        prop_assert_eq!(runtime.block_on(on_history(&setting)), rows);
    }
}

#[tokio::test]
async fn over_history_the_time_of_an_open_match_is_over_when_the_clock_says_so() {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now_ms = since_epoch.as_millis() as i64 - EPOCH * 1_000;
    let hour_ms = 3_600_000;
    let setting = |behind_ms: i64| Setting {
        tree: Tree::Row(0),
        conditions: vec![Condition::Undefined; VARIABLES.len()],
        within_ms: Some(hour_ms),
        until_time_is_over: true,
        to_next_row: false,
        delay_ms: 0,
        readings: vec![Reading { at_ms: now_ms - behind_ms, device: 0, n: None }],
        cuts: vec![1],
        restart_every: 0,
    };
    assert_eq!(on_history(&setting(hour_ms / 2)).await, [""; 0]);
    assert_eq!(on_history(&setting(hour_ms * 2)).await.len(), 1);
}

#[test]
fn a_partition_with_too_many_ways_open_ends_the_pipeline_with_its_reason() {
    // Each row begins an attempt, and each attempt of forty rows and more stands at forty places: the first row of each `a+`, and all others.
    let sql = format!(
        "SELECT c FROM homes MATCH_RECOGNIZE (ORDER BY ts MEASURES COUNT(*) AS c AFTER MATCH SKIP TO NEXT ROW
         PATTERN ({} b) WITHIN INTERVAL '1' DAY DEFINE a AS n = 1, b AS n = 2)",
        "a+ ".repeat(20)
    );
    let table = StreamTable { name: "homes".parse().unwrap(), schema: schema(), watermark_delay_us: 0 };
    let plan = Arc::new(plan(&parsed(&sql), &Catalog::new([table])).unwrap());
    let readings = |rows: std::ops::Range<i64>| {
        rows.map(|at_ms| Reading { at_ms, device: 0, n: Some(1) }).collect::<Vec<_>>()
    };
    let mut pipeline = plan.start();
    pipeline.push(0, &batch(&readings(0..250))).unwrap();
    let error = pipeline.push(0, &batch(&readings(250..300))).unwrap_err();
    assert!(error.to_string().contains("more than 10000 ways open in one partition; hint: "), "{error}");
}

#[test]
fn what_says_the_same_again_and_again_leaves_one_way_open() {
    let sql =
        "SELECT device FROM homes MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts MEASURES FIRST(ts) AS f
               PATTERN (a b* $) WITHIN INTERVAL '1' DAY DEFINE a AS n = 1, b AS n = 1)";
    let table = StreamTable { name: "homes".parse().unwrap(), schema: schema(), watermark_delay_us: 0 };
    let plan = Arc::new(plan(&parsed(sql), &Catalog::new([table])).unwrap());
    let row = |at_ms: i64, device: u8, n: i64| Reading { at_ms, device, n: Some(n) };
    let mut pipeline = plan.start();
    let mut held_after = |readings: Vec<Reading>| {
        pipeline.push(0, &batch(&readings)).unwrap();
        let state = pipeline.snapshot().unwrap();
        (state.operators.iter().map(Vec::len).sum::<usize>(), pipeline.waits_for())
    };
    let (held, _) = held_after(vec![row(0, 0, 1), row(1, 0, 1), row(2, 0, 1)]);
    assert_eq!(held_after((3..20_000).map(|at_ms| row(at_ms, 0, 1)).collect()).0, held);
    // What is closed is forgotten; only the last row waits for its watermark.
    let (left, next) = held_after(vec![row(20_000, 0, 2), row(20_001, 2, 3), row(20_002, 2, 3)]);
    assert!(left < held, "{left} of {held}");
    assert_eq!(next, [(0, (EPOCH * 1_000 + 20_002) * 1_000 + 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matches_are_those_of_the_model_however_the_stream_is_cut(setting in settings()) {
        let Some(plan) = planned(&setting) else { return Ok(()) };
        let (rows, late) = engine(&plan, &setting, &setting.cuts, setting.restart_every);
        prop_assert_eq!(&engine(&plan, &setting, &[usize::MAX], 0).0, &rows, "in one piece");
        let (expected, expected_late) = model(&setting);
        let mut sorted = rows;
        sorted.sort();
        prop_assert_eq!(sorted, expected, "{}", query(&setting));
        prop_assert_eq!(late, expected_late);
    }
}
