//! Rows that an expression has no value for: they are put aside, each once, and everything else is as if they had not come.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::{Select, Statement, parse_one};
use springhouse_engine::{Broken, Catalog, FunctionSet, PreviewWish, RunState};
use springhouse_meta::{QuarantineFilter, QuarantinedMessage};
use springhouse_model::TenantId;

use crate::case::{driven, late, selected};
use crate::dice::Dice;
use crate::hub::{EPOCH, Hub, lines, row};
use crate::readings::{Reading, batch, cuts, homes, readings};

/// Statements of every kind that divide by `n`. Where `{only}` stands, rows can be kept away whose `n` is zero; where `{n}`
/// stands, it can be null instead.
pub const STATEMENTS: &[&str] = &[
    "SELECT device, ts, 100 / n AS x FROM homes {only}",
    "SELECT device, n FROM homes WHERE 100 / {n} > 20",
    "SELECT device, window_end, sum(100 / n) AS s, count(*) AS c
        FROM TUMBLE(homes, ts, INTERVAL '2' SECOND) {only} GROUP BY device, window_end",
    "SELECT 100 / n AS x, window_end, count(*) AS c
        FROM HOP(homes, ts, INTERVAL '1' SECOND, INTERVAL '3' SECOND) {only} GROUP BY x, window_end",
    "SELECT device, window_start, window_end, max(100 / n) AS x
        FROM SESSION((SELECT * FROM homes {only}), ts, INTERVAL '1' SECOND, device) GROUP BY device, window_start, window_end",
    "SELECT device, ts, sum(100 / n) OVER (PARTITION BY device ORDER BY ts ROWS 3 PRECEDING) AS s FROM homes {only}",
    "CREATE ALERT a KEY (device) RESOLVE WHEN 100 / {n} < 5 AS
        SELECT device, ts, n FROM homes WHERE 100 / {n} > 20",
    "SELECT a.device, a.n, b.n AS m FROM homes AS a JOIN homes AS b
        ON 100 / {a.n} = 100 / {b.n} AND b.ts BETWEEN a.ts - INTERVAL '1' SECOND AND a.ts",
    PATTERN,
];

/// Rows cannot be kept away from it.
const PATTERN: &str = "SELECT device, x, c FROM homes MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts
    MEASURES last(up.n) AS x, count(up.*) AS c PATTERN (up{2,}) WITHIN INTERVAL '3' SECOND
    DEFINE up AS 100 / {n} > 10)";

/// The statement as somebody writes it who does not think of zero, or as one who does.
pub fn written(statement: &str, is_guarded: bool) -> String {
    let only = if is_guarded { "WHERE n <> 0 OR n IS NULL" } else { "" };
    let mut sql = statement.replace("{only}", only);
    for name in ["n", "a.n", "b.n"] {
        let value = if is_guarded { format!("nullif({name}, 0)") } else { name.to_owned() };
        sql = sql.replace(&format!("{{{name}}}"), &value);
    }
    sql
}

#[derive(Clone, Debug)]
pub struct Setting {
    pub statement: usize,
    delay_ms: i64,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

pub fn settings() -> impl Strategy<Value = Setting> {
    let delay = prop::sample::select(vec![0, 100, 1_000, 5_000]);
    (0..STATEMENTS.len(), delay, readings(100, -2..6), cuts(), 0..4_usize).prop_map(
        |(statement, delay_ms, readings, cuts, restart_every)| Setting {
            statement,
            delay_ms,
            readings,
            cuts,
            restart_every,
        },
    )
}

fn planned(sql: &str, delay_ms: i64, functions: FunctionSet) -> Arc<Plan> {
    let select = match parse_one(sql).unwrap() {
        Statement::CreateAlert(alert) => alert.select,
        Statement::Query(text) => Select::bare(text),
        _ => panic!("{sql}"),
    };
    let mut catalog = Catalog::new([homes(delay_ms)]);
    catalog.put_functions(functions);
    Arc::new(plan(&select, &catalog).unwrap())
}

/// What comes out.
#[derive(Debug)]
pub struct Out {
    pub rows: Vec<String>,
    /// Late rows whose `n` is not zero.
    pub late: Vec<String>,
    /// The times of those whose `n` is.
    pub late_zeros: Vec<i64>,
    pub broken: Vec<Broken>,
}

fn run(sql: &str, setting: &Setting) -> Out {
    run_with(sql, setting, FunctionSet::default())
}

pub fn run_with(sql: &str, setting: &Setting, functions: FunctionSet) -> Out {
    let plan = planned(sql, setting.delay_ms, functions);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    let (mut good, mut late_zeros) = (Vec::new(), Vec::new());
    for batch in &emitted.late {
        let is_zero = eq(batch.column_by_name("n").unwrap(), &Int64Array::new_scalar(0)).unwrap();
        let zeros = filter_record_batch(batch, &is_zero).unwrap();
        late_zeros.extend(zeros.column(0).as_primitive::<TimestampMicrosecondType>().values());
        let others = is_zero.iter().map(|is_zero| Some(is_zero != Some(true))).collect();
        good.push(filter_record_batch(batch, &others).unwrap());
    }
    Out { rows: selected(&plan, &emitted.rows), late: late(&good), late_zeros, broken: emitted.broken }
}

/// For a pattern, rows without a value are those of a device that has no matches: only time knows them.
fn without_zeros(statement: &str, setting: &Setting) -> Setting {
    let mut setting = setting.clone();
    for reading in setting.readings.iter_mut().filter(|reading| reading.n == Some(0) && statement == PATTERN)
    {
        (reading.device, reading.n) = (9, None);
    }
    setting
}

fn sorted(mut times: Vec<i64>) -> Vec<i64> {
    times.sort_unstable();
    times
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_others_go_their_way_however_the_stream_is_cut(setting in settings()) {
        let statement = STATEMENTS[setting.statement];
        let found = run(&written(statement, false), &setting);
        let expected = run(&written(statement, true), &without_zeros(statement, &setting));
        prop_assert!(expected.broken.is_empty());
        prop_assert_eq!(found.rows, expected.rows);
        let not_of_nobody = |late: &String| !late.contains("d9 ");
        prop_assert_eq!(found.late, expected.late.into_iter().filter(not_of_nobody).collect::<Vec<_>>());
        let zeros = setting.readings.iter().filter(|reading| reading.n == Some(0));
        let times = zeros.map(|reading| reading.at_ms * 1_000 + EPOCH * 1_000_000);
        // Where rows wait for their turn first, one that comes too late is just that.
        let broken = found.broken.iter().map(|broken| broken.time);
        prop_assert_eq!(sorted(broken.chain(found.late_zeros).collect()), sorted(times.collect()));
        for broken in &found.broken {
            prop_assert_eq!(&broken.why, "division by zero; hint: divide by nullif(x, 0), which gives null instead");
            let n = broken.row.column_by_name("n").map(|n| n.as_primitive::<Int64Type>().values().to_vec());
            prop_assert_eq!(n, Some(vec![0]));
        }
    }
}

/// One row closes a window of 20,000 results, of which every other has no value.
#[test]
fn a_window_whose_results_mostly_have_a_value_stops_nothing() {
    let sql = "SELECT n, window_end, sum(n) AS s FROM TUMBLE(homes, ts, INTERVAL '10' SECOND)
        GROUP BY n, window_end HAVING 100 / (sum(n) % 2) > 0";
    let mut pipeline = planned(sql, 0, FunctionSet::default()).start();
    let of = |at_ms| move |n| Reading { at_ms, device: 0, n: Some(n) };
    let all: Vec<Reading> = (0..20_000).map(of(0)).collect();
    pipeline.push(0, &batch(&all)).unwrap();
    let emitted = pipeline.push(0, &batch(&[of(60_000)(1)])).unwrap();
    let rows: usize = emitted.rows.iter().map(|rows| rows.num_rows()).sum();
    assert_eq!((rows, emitted.broken.len()), (10_000, 10_000));
}

/// What stands in quarantine, the oldest first.
pub async fn quarantined(hub: &Hub) -> Vec<QuarantinedMessage> {
    let list = hub.meta.quarantine_list(&TenantId::main(), &QuarantineFilter::default(), 100_000).await;
    let mut list = list.unwrap();
    list.reverse();
    list
}

const INVERSE: &str = "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts);
    CREATE PIPELINE inverse INTO inverses AS SELECT device, 100 / n AS x FROM homes WHERE n < 1000;
    CREATE PIPELINE halves INTO half_rows AS SELECT n, window_end, sum(100 / n) AS s
        FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY n, window_end;";

#[tokio::test]
async fn they_stand_in_quarantine_once_with_where_they_come_from_whatever_happens_to_the_engine() {
    let mut dice = Dice::new(5);
    let mut hub = Hub::new().await;
    hub.sql(INVERSE).await;
    let mut zeros = 0;
    for round in 0..12 {
        for message in 0..4 {
            let rows: Vec<String> = (0..dice.below(5) + 1)
                .map(|at| row(f64::from(round * 4 + message) + at as f64 / 10.0, dice.below(3) as i64))
                .collect();
            zeros += rows.iter().filter(|row| row.contains(r#""n":0"#)).count();
            hub.send("homes", "a", &rows).await;
        }
        match dice.below(3) {
            0 => hub.crash().await,
            _ => hub.stop().await,
        }
        hub.start().await;
    }
    hub.settled().await;
    assert!(zeros > 10);
    hub.until("all are in quarantine", async || quarantined(&hub).await.len() == 2 * zeros).await;
    let found = quarantined(&hub).await;
    for (into, name) in [("inverses", "inverse"), ("half_rows", "halves")] {
        let of: Vec<_> =
            found.iter().filter(|held| held.stream.as_ref().is_some_and(|s| s.as_str() == into)).collect();
        assert_eq!(of.len(), zeros, "{into}");
        assert_eq!(hub.status_of(name).await.broken, zeros as u64);
        for held in of {
            assert_eq!(
                (held.reason.as_str(), held.topic.as_str()),
                ("not_computed", &*format!("$pipeline/{into}"))
            );
            assert_eq!(held.device.as_ref().map(|device| device.as_str()), Some("a"));
            let whence = format!("; pipeline `{name}`, version 1, record ");
            assert!(
                held.detail.starts_with("division by zero") && held.detail.contains(&whence),
                "{}",
                held.detail
            );
            assert!(held.detail.ends_with(" of `homes`"), "{}", held.detail);
            let payload: serde_json::Value = serde_json::from_slice(&held.payload).unwrap();
            assert_eq!((&payload["n"], &payload["device"]), (&0.into(), &"a".into()));
        }
    }
    assert_eq!(hub.status_of("inverse").await.state, RunState::Running);
}

/// Nothing else of the log is passed over, and who mends the statement goes on where it has stopped.
#[tokio::test]
async fn a_statement_that_no_row_fits_stops() {
    let mut hub = Hub::new().await;
    hub.sql(INVERSE).await;
    hub.send("homes", "a", &[row(0.0, 4)]).await;
    hub.settled().await;
    let zeros: Vec<String> = (0..5_000).map(|at| row(1.0 + f64::from(at) / 1e4, 0)).collect();
    hub.send("homes", "a", &zeros).await;
    hub.settled().await;
    assert_eq!(hub.status_of("inverse").await.state, RunState::Running);
    hub.send("homes", "a", &zeros).await;
    hub.until("it stops", async || hub.status_of("inverse").await.state == RunState::Failed).await;
    let why = hub.status_of("inverse").await.error.unwrap();
    assert!(
        why.starts_with(
            "cannot evaluate the query for any of the last 10000 rows; the last one: division by zero"
        ),
        "{why}"
    );
    hub.send("homes", "a", &[row(2.0, 50)]).await;
    hub.stop().await;
    hub.start().await;
    hub.sql("CREATE OR REPLACE PIPELINE inverse INTO inverses AS SELECT device, 100 / nullif(n, 0) AS x FROM homes").await;
    hub.settled().await;
    let rows = hub.rows("inverses");
    assert_eq!(rows.len(), 1 + 5_000 + 1);
    assert!(
        rows[0].ends_with(r#""x":25}"#)
            && rows[1].ends_with(r#""x":null}"#)
            && rows[5_001].ends_with(r#""x":2}"#)
    );
}

#[tokio::test]
async fn a_preview_tells_how_many_there_are_and_why() {
    let hub = Hub::new().await;
    hub.sql("CREATE STREAM homes (n BIGINT)").await;
    hub.send("homes", "a", &[row(0.0, 4), row(1.0, 0), row(2.0, 5)]).await;
    let wish = PreviewWish { minutes: 10, sample: None, limit: 10, steps: true };
    let sql = "SELECT device, 100 / n AS x FROM homes";
    let preview = hub.engine().preview(&TenantId::main(), sql, wish).await.unwrap();
    let rows: Vec<String> = preview.batches.iter().flat_map(|batch| lines(batch, &[])).collect();
    assert_eq!(rows, [r#"{"device":"a","x":25}"#, r#"{"device":"a","x":20}"#]);
    assert_eq!(preview.broken, 1);
    assert!(preview.why_broken.unwrap().starts_with("division by zero"));
    assert_eq!(preview.steps.last().unwrap().rows, 2);
}

/// Of a match whose measure has no value, its key and time are told.
#[tokio::test]
async fn a_match_without_a_measure_says_whose_it_was() {
    let hub = Hub::new().await;
    hub.sql("CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts);
        CREATE PIPELINE p INTO matches AS SELECT device, x FROM homes MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts
            MEASURES 10 / a.n AS x PATTERN (a b) DEFINE b AS b.n > 0)")
    .await;
    hub.send("homes", "a", &[row(0.0, 0), row(1.0, 4), row(2.0, 5), row(3.0, 1), row(9.0, 0)]).await;
    hub.until("it is in quarantine", async || quarantined(&hub).await.len() == 1).await;
    let held = quarantined(&hub).await.remove(0);
    assert_eq!(held.device.map(|device| device.to_string()).as_deref(), Some("a"));
    assert_eq!(held.payload, br#"{"device":"a"}"#);
    assert!(
        held.detail.contains("what it has made for 2026-01-01T00:00:01Z, up to record "),
        "{}",
        held.detail
    );
    hub.settled().await;
    let found = hub.rows("matches");
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with(r#""device":"a","x":2}"#), "{found:?}");
}
