//! A statement that takes the place of another: what it keeps, and that no row is missing or there twice.

use std::fs;
use std::sync::Arc;

use springhouse_engine::statement::parse_one;
use springhouse_engine::{ChangeKind, Outcome, RunState, StateChange};
use springhouse_log::MemoryLog;
use springhouse_meta::{PipelineState, SqliteMeta};
use springhouse_model::TenantId;

use crate::dice::Dice;
use crate::hub::{Hub, row, rows_at};
use crate::restarts::copy;

const HOMES: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER);";

/// A pipeline over windows of ten seconds; `select` and `rest` stand around what its operator computes.
fn tens(name: &str, select: &str, rest: &str) -> String {
    format!(
        "CREATE OR REPLACE PIPELINE {name} INTO {name}_rows AS SELECT device, window_start, {select}
         FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start {rest}"
    )
}

/// The last column of each row.
fn totals(hub: &Hub) -> Vec<String> {
    hub.rows("p_rows").iter().map(|row| row.rsplit(':').next().unwrap().to_owned()).collect()
}

fn said(outcome: &Outcome) -> String {
    outcome.to_string()
}

#[tokio::test]
async fn windows_that_are_open_stay_whole_when_only_what_is_behind_them_changes() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(&tens("p", "count(*) AS c, sum(n) AS total", "")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 2.0, 14.0])).await;
    hub.settled().await;
    let outcome = hub.sql(&tens("p", "sum(n) * 10 AS tenfold, count(*) AS c", "HAVING sum(n) > 3")).await;
    assert_eq!(
        said(&outcome),
        "pipeline `p` runs as version 2 and fills `p_rows`; reads the log again: aggregate device, \
         window_start",
        "the calls have changed their places"
    );
    hub.sql(&tens("q", "count(*) AS c, sum(n) AS total", "")).await;
    hub.settled().await;
    let outcome =
        hub.sql(&tens("q", "count(*) * 100 AS hundreds, sum(n) AS total", "HAVING sum(n) > 3")).await;
    assert_eq!(
        said(&outcome),
        "pipeline `q` runs as version 2 and fills `q_rows`; keeps the state of: aggregate device, window_start"
    );
    // The window of second 10 has 3 from before, and now 4 and 2.
    hub.send("homes", "a", &[row(15.0, 4), row(16.0, 2), row(25.0, 1), row(43.0, 5)]).await;
    hub.settled().await;
    let rows = hub.rows("q_rows");
    assert_eq!(
        rows,
        [
            r#"{"ts":"2026-01-01T00:00:10Z","device":"a","window_start":"2026-01-01T00:00:00Z","c":2,"total":3}"#,
            r#"{"ts":"2026-01-01T00:00:20Z","device":"a","window_start":"2026-01-01T00:00:10Z","c":null,"total":9,"hundreds":300}"#,
        ]
    );
    // What computes something else has read again what is in its window, and windows that were given are not given again.
    assert_eq!(
        hub.rows("p_rows")[1],
        r#"{"ts":"2026-01-01T00:00:20Z","device":"a","window_start":"2026-01-01T00:00:10Z","c":3,"total":null,"tenfold":90}"#
    );
    assert_eq!(hub.rows("p_rows").len(), 2);
}

#[tokio::test]
async fn an_operator_is_another_when_anything_before_it_is() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql("CREATE STREAM others (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER)").await;
    let of = |source: &str, length: &str, key: &str, calls: &str, lateness: &str, filter: &str| {
        format!(
            "CREATE OR REPLACE PIPELINE p INTO r {lateness} AS SELECT {key} AS k, window_start, {calls} AS x
             FROM TUMBLE({source}, ts, INTERVAL '{length}' SECOND) {filter} GROUP BY {key}, window_start"
        )
    };
    let first = of("homes", "10", "device", "sum(n)", "", "WHERE n > 1");
    hub.sql(&first).await;
    let keeps = async |sql: &str| {
        let change = hub.engine().foresee(&TenantId::main(), &parse_one(sql).unwrap()).await.unwrap();
        assert_eq!(
            change.state.keeps.len() + change.state.reads_again.len() + change.state.begins_empty.len(),
            1,
            "{sql}"
        );
        (change.kind, change.state.keeps.len() == 1)
    };
    assert_eq!(keeps(&first.to_lowercase()).await, (ChangeKind::Unchanged, true));
    for (sql, kept) in [
        (of("homes", "10", "device", "sum(n)", "", "WHERE n > 1 AND n < 9"), false),
        (of("homes", "10", "device", "sum(n)", "", "WHERE n > 2"), false),
        (of("homes", "10", "device", "sum(n)", "", ""), false),
        (of("homes", "20", "device", "sum(n)", "", "WHERE n > 1"), false),
        (of("others", "10", "device", "sum(n)", "", "WHERE n > 1"), false),
        (of("homes", "10", "site", "sum(n)", "", "WHERE n > 1"), false),
        (of("homes", "10", "device", "max(n)", "", "WHERE n > 1"), false),
        (of("homes", "10", "device", "sum(DISTINCT n)", "", "WHERE n > 1"), false),
        (of("homes", "10", "device", "sum(n + 1)", "", "WHERE n > 1"), false),
        (of("homes", "10", "device", "sum(n) FILTER (WHERE n > 5)", "", "WHERE n > 1"), false),
        (of("homes", "10", "device", "sum(n)", "ALLOWED LATENESS INTERVAL '1' SECOND", "WHERE n > 1"), false),
        (of("homes", "10", "device", "sum(n) + 1", "", "WHERE n > 1"), true),
        (of("homes", "10", "device", "sum(n)", "", "WHERE n >= 2 - 1 AND n > 1"), true),
        (
            of("homes AS h", "10", "device", "sum(n)", "", "WHERE n > 1")
                .replace("homes AS h, ts", "homes, ts"),
            true,
        ),
    ] {
        let kind = if is_first(&sql, &first) { ChangeKind::Unchanged } else { ChangeKind::Replace };
        assert_eq!(keeps(&sql).await, (kind, kept), "{sql}");
    }
    assert_eq!(hub.status_of("p").await.sql, first, "looking ahead changes nothing");
}

fn is_first(sql: &str, first: &str) -> bool {
    springhouse_engine::statement::is_same(sql, first)
}

#[tokio::test]
async fn overlapping_windows_that_are_computed_anew_are_not_given_twice() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let hop = |call: &str| {
        format!(
            "CREATE OR REPLACE PIPELINE p INTO r AS SELECT window_start, {call} AS x
             FROM HOP(homes, ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) GROUP BY window_start"
        )
    };
    hub.sql(&hop("count(*)")).await;
    hub.send("homes", "a", &rows_at(&[6.0, 13.0])).await;
    hub.settled().await;
    let given = hub.rows("r");
    assert_eq!(
        given.len(),
        1,
        "the windows from -5 and from 0 have ended, the first without rows: {given:?}"
    );
    hub.sql(&hop("sum(n)")).await;
    // Second 9 is in the window from 0, which has been given, and in the one from 5.
    hub.send("homes", "a", &[row(9.0, 1), row(12.0, 7), row(17.5, 0)]).await;
    hub.settled().await;
    let rows = hub.rows("r");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(
        rows[1],
        r#"{"ts":"2026-01-01T00:00:15Z","device":null,"window_start":"2026-01-01T00:00:05Z","x":11}"#
    );
}

#[tokio::test]
async fn rows_that_came_while_a_pipeline_was_paused_are_those_of_the_next_version() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(&tens("p", "sum(n) AS total", "")).await;
    hub.send("homes", "a", &[row(1.0, 1)]).await;
    hub.settled().await;
    hub.sql("PAUSE PIPELINE p").await;
    hub.send("homes", "a", &[row(2.0, 2)]).await;
    hub.sql(&tens("p", "sum(n) + 100 AS total", "")).await;
    assert_eq!(hub.status_of("p").await.state, RunState::Running);
    hub.send("homes", "a", &[row(20.0, 0)]).await;
    hub.settled().await;
    assert!(hub.rows("p_rows")[0].ends_with(r#""total":103}"#), "{:?}", hub.rows("p_rows"));
}

/// Its last snapshot is the one of its beginning, and the log has a row of it.
#[tokio::test]
async fn what_a_failed_pipeline_has_written_counts_before_another_takes_over() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql("CREATE PIPELINE p INTO p_rows AS SELECT device, ts, 100 / n AS x FROM homes").await;
    hub.send("homes", "a", &[row(1.0, 4)]).await;
    hub.settled().await;
    let zeros: Vec<String> = (0..10_000).map(|at| row(2.0 + f64::from(at) / 1e5, 0)).collect();
    hub.send("homes", "a", &zeros).await;
    hub.until("the pipeline fails", async || hub.status_of("p").await.state == RunState::Failed).await;
    assert_eq!(totals(&hub), ["25}"]);
    // Gives no row for the first one, so that its own first row has the number of that.
    let sql = "CREATE OR REPLACE PIPELINE p INTO p_rows AS
        SELECT device, ts, coalesce(100 / nullif(n, 0), -1) AS x FROM homes WHERE n < 4";
    hub.sql(sql).await;
    hub.send("homes", "a", &[row(3.0, 2)]).await;
    hub.settled().await;
    let found = totals(&hub);
    let (first, last) = (found.first().map(String::as_str), found.last().map(String::as_str));
    assert_eq!((found.len(), first, last), (10_002, Some("25}"), Some("50}")));
    assert!(found[1..10_001].iter().all(|total| total == "-1}"));
}

#[tokio::test]
async fn an_alert_keeps_its_windows_and_does_not_fire_again() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let alert = |limit: u32| {
        format!(
            "CREATE OR REPLACE ALERT busy SEVERITY info AS SELECT device, window_start, sum(n) AS total
             FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start HAVING sum(n) > {limit}"
        )
    };
    hub.sql(&alert(1)).await;
    hub.send("homes", "a", &[row(1.0, 5), row(12.5, 4)]).await;
    hub.settled().await;
    assert_eq!(hub.rows("alerts.busy").len(), 1);
    let outcome = hub.sql(&alert(7)).await;
    assert_eq!(
        said(&outcome),
        "alert `busy` runs as version 2 and fills `alerts.busy`; keeps the state of: aggregate device, window_start"
    );
    hub.send("homes", "a", &[row(13.0, 4), row(30.0, 0)]).await;
    hub.settled().await;
    let rows = hub.rows("alerts.busy");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[1].ends_with(r#""total":8}"#), "{rows:?}");
}

#[tokio::test]
async fn versions_are_listed_and_an_older_one_can_come_back() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let (first, second) =
        (tens("p", "sum(n) AS total", ""), tens("p", "sum(n) AS total", "HAVING sum(n) > 5"));
    let by = async |who: &str, sql: &str| {
        let statement = parse_one(sql).unwrap();
        hub.engine().execute_for(&TenantId::main(), Some(who), &statement).await.unwrap()
    };
    by("ada", &first).await;
    by("bob", &second).await;
    hub.send("homes", "a", &[row(1.0, 3)]).await;
    hub.settled().await;
    let outcome = by("eve", "ROLLBACK PIPELINE p").await;
    assert_eq!(
        said(&outcome),
        "pipeline `p` runs as version 3 and fills `p_rows`; keeps the state of: aggregate device, window_start"
    );
    hub.send("homes", "a", &[row(20.0, 0)]).await;
    hub.settled().await;
    assert_eq!(hub.rows("p_rows").len(), 1, "3 is more than nothing, and not more than 5");
    let Outcome::Listing(lines) = hub.sql("SHOW VERSIONS OF PIPELINE p").await else { panic!() };
    let shown: Vec<(&str, &str, bool)> = lines
        .iter()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells[0], cells[2], cells[3].ends_with("HAVING sum(n) > 5"))
        })
        .collect();
    assert_eq!(shown, [("3", "eve", false), ("2", "bob", true), ("1", "ada", false)]);
    assert_eq!(
        said(&by("eve", "ROLLBACK PIPELINE p TO VERSION 1").await),
        "pipeline `p` is unchanged: version 3 runs"
    );
    by("eve", "ROLLBACK PIPELINE p TO VERSION 2").await;
    assert_eq!(hub.status_of("p").await.sql, second);
    assert_eq!(
        hub.refusal("ROLLBACK PIPELINE p TO VERSION 9").await,
        "pipeline `p` has no version 9; hint: SHOW VERSIONS OF PIPELINE p"
    );
    hub.sql("DROP PIPELINE p").await;
    assert_eq!(hub.refusal("SHOW VERSIONS OF PIPELINE p").await, "pipeline `p` does not exist");
}

#[tokio::test]
async fn a_statement_that_cannot_take_over_leaves_the_old_one_as_it_was() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(&tens("p", "sum(n) AS total", "")).await;
    hub.send("homes", "a", &[row(1.0, 1), row(13.0, 1)]).await;
    hub.settled().await;
    assert!(hub.refusal(&tens("p", "sum(m) AS total", "")).await.contains("m"));
    assert!(hub.refusal(&tens("p", "avg(n) AS total", "")).await.contains("the query gives Float"));
    // No snapshot can be written any more, neither by the one that stops nor for the one that would begin.
    let folder = hub.data_dir().join("snapshots").join("1");
    let blocked: Vec<_> = (0..50).map(|number| folder.join(format!("{number}.tmp"))).collect();
    blocked.iter().for_each(|path| fs::create_dir(path).unwrap());
    assert!(hub.refusal(&tens("p", "sum(n) + 1 AS total", "")).await.starts_with("cannot write"));
    let status = hub.status_of("p").await;
    assert_eq!((status.state, status.error), (RunState::Running, None));
    assert_eq!(hub.meta.pipeline(&TenantId::main(), "p").await.unwrap().unwrap().version, 1);
    hub.send("homes", "a", &[row(14.0, 2), row(30.0, 0)]).await;
    hub.settled().await;
    blocked.iter().for_each(|path| fs::remove_dir(path).unwrap());
    assert_eq!(totals(&hub), ["1}", "3}"]);
    // Its last good snapshot is older than the rows it has written: the successor writes none of them again.
    hub.sql(&tens("p", "sum(n) + 1 AS total", "")).await;
    hub.send("homes", "a", &[row(50.0, 0)]).await;
    hub.settled().await;
    assert_eq!(totals(&hub), ["1}", "3}", "1}"]);
}

async fn hub_on(dir: tempfile::TempDir, log: &Arc<MemoryLog>) -> (Hub, Arc<SqliteMeta>) {
    let meta = Arc::new(SqliteMeta::open(&dir.path().join("meta.db")).await.unwrap());
    (Hub::with(dir, Arc::clone(&meta) as _, Arc::clone(log) as _).await, meta)
}

/// A hub that was killed in a change of its pipeline, in the middle of a window: after the snapshot of the next version
/// had been prepared, and before or after meta named that version. It has been started again.
async fn killed_in_a_change(is_named: bool) -> Hub {
    let log = Arc::new(MemoryLog::default());
    let (mut hub, meta) = hub_on(tempfile::tempdir().unwrap(), &log).await;
    hub.sql(HOMES).await;
    hub.sql(&tens("p", "sum(n) AS total", "")).await;
    hub.send("homes", "a", &[row(1.0, 9), row(12.5, 1)]).await;
    hub.settled().await;
    hub.stop().await;
    meta.close().await;
    let before = tempfile::tempdir().unwrap();
    copy(hub.data_dir(), before.path());
    let Hub { dir, .. } = hub;

    let (mut hub, meta) = hub_on(dir, &log).await;
    hub.sql(&tens("p", "sum(n) + 100 AS total", "")).await;
    hub.crash().await;
    meta.close().await;
    let files = fs::read_dir(hub.data_dir().join("snapshots/1")).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("0.snap"));
    let prepared: Vec<_> = files.collect();
    assert_eq!(prepared.len(), 1);
    let beside = before.path().join("snapshots/1").join(prepared[0].file_name().unwrap());
    assert!(!beside.exists());
    fs::copy(&prepared[0], beside).unwrap();
    if is_named {
        fs::copy(hub.data_dir().join("meta.db"), before.path().join("meta.db")).unwrap();
    }
    hub_on(before, &log).await.0
}

async fn totals_with_the_other_half(hub: &Hub) -> Vec<String> {
    hub.send("homes", "a", &[row(13.0, 2), row(30.0, 0)]).await;
    hub.settled().await;
    totals(hub)
}

#[tokio::test]
async fn a_hub_killed_before_meta_names_the_version_goes_on_with_the_old_one() {
    let hub = killed_in_a_change(false).await;
    assert_eq!(hub.meta.pipeline(&TenantId::main(), "p").await.unwrap().unwrap().version, 1);
    assert_eq!(totals_with_the_other_half(&hub).await, ["9}", "3}"]);
    // What was prepared then is of no meaning for the change that comes next.
    hub.sql(&tens("p", "sum(n) + 200 AS total", "")).await;
    hub.send("homes", "a", &[row(50.0, 0)]).await;
    hub.settled().await;
    assert_eq!(totals(&hub), ["9}", "3}", "200}"]);
}

#[tokio::test]
async fn a_hub_killed_before_the_version_has_begun_goes_on_with_that_version() {
    let hub = killed_in_a_change(true).await;
    let entry = hub.meta.pipeline(&TenantId::main(), "p").await.unwrap().unwrap();
    assert_eq!((entry.version, entry.state), (2, PipelineState::Running));
    assert_eq!(totals_with_the_other_half(&hub).await, ["9}", "103}"]);
}

fn in_tens(select: &str, rest: &str) -> String {
    format!("SELECT device, window_start, {select} FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) {rest}")
}

/// Statements whose operator is the same.
fn alike() -> Vec<String> {
    let by = "GROUP BY device, window_start";
    vec![
        in_tens("count(*) AS c, sum(n) AS total, max(n) AS top", by),
        in_tens("count(*) * 10 AS c, sum(n) AS total, max(n) AS top", &format!("{by} HAVING sum(n) > 900")),
        in_tens("count(*) AS c, sum(n) - 1 AS total, max(n) AS top", &format!("{by} HAVING count(*) > 1")),
    ]
}

/// Statements that compute something else each, over the same time or another.
fn unlike() -> Vec<Vec<String>> {
    let by = "GROUP BY device, window_start";
    let windows = vec![
        in_tens("count(*) AS c, sum(n) AS total", by),
        in_tens("max(n) AS c, sum(n) AS total", by),
        in_tens("count(*) AS c, sum(n) AS total", &format!("WHERE n > 100 {by}")),
        in_tens("count(*) AS c, sum(n) AS total", by).replace("'10'", "'30'"),
        in_tens("count(*) AS c, sum(n) AS total", by)
            .replace("TUMBLE(homes, ts,", "HOP(homes, ts, INTERVAL '4' SECOND,"),
    ];
    let over = |call: &str, rest: &str| {
        format!("SELECT device, ts, n, {call} OVER (PARTITION BY device ORDER BY ts {rest}")
    };
    let frames = vec![
        over("sum(n)", "RANGE INTERVAL '8' SECOND PRECEDING) AS x FROM homes"),
        over("count(*)", "RANGE INTERVAL '20' SECOND PRECEDING) AS x FROM homes"),
        over("sum(n)", "RANGE INTERVAL '8' SECOND PRECEDING) AS x FROM homes WHERE n > 100"),
    ];
    let join = |kind: &str, seconds: u32, condition: &str| {
        format!(
            "SELECT h.device, h.n, g.n AS m FROM homes h {kind} JOIN homes g
             ON g.device = h.device AND g.ts BETWEEN h.ts AND h.ts + INTERVAL '{seconds}' SECOND {condition}"
        )
    };
    let pairs = vec![
        join("", 3, "AND g.n > h.n"),
        join("LEFT", 3, "AND g.n > h.n"),
        join("", 6, "AND g.n < h.n"),
        join("LEFT", 2, "AND g.n > 200 WHERE h.n > 50"),
    ];
    let matches = |within: u32, first: &str| {
        format!(
            "SELECT * FROM homes MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts MEASURES a.n AS n, count(b.*) AS c
             AFTER MATCH SKIP TO NEXT ROW PATTERN (a b* $) WITHIN INTERVAL '{within}' SECOND DEFINE a AS {first}, b AS n > 20)"
        )
    };
    // Overlapping, so that no match depends on those before it.
    let patterns = vec![matches(5, "n > 150"), matches(9, "n > 150"), matches(5, "n > 100")];
    vec![windows, frames, pairs, patterns]
}

/// Replaces a pipeline again and again, between stops and kills. Others that had each statement from the beginning show
/// which rows it has to have written between two changes.
async fn live_through(seed: u64, variants: &[String], is_kept: bool) {
    let mut dice = Dice::new(seed);
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    let create = |name: &str, at: usize| {
        format!("CREATE OR REPLACE PIPELINE {name} INTO {name}_rows AS {}", variants[at])
    };
    for at in 0..variants.len() {
        hub.sql(&create(&format!("v{at}"), at)).await;
    }
    hub.sql(&create("p", 0)).await;
    let (mut second, mut present, mut changes) = (100.0, 0, 0);
    let logged = |hub: &Hub, at: usize| -> [Vec<String>; 2] {
        [format!("v{at}_rows"), format!("v{at}.late")].map(|stream| {
            let batches = hub.batches(&stream);
            batches.iter().flat_map(|batch| crate::hub::lines(batch, &["site", "_received", "_id"])).collect()
        })
    };
    let mut expected: [Vec<String>; 2] = Default::default();
    let mut since: Vec<[usize; 2]> = vec![[0; 2]; variants.len()];
    let take = |hub: &Hub, expected: &mut [Vec<String>; 2], at: usize, since: [usize; 2]| {
        for (which, mut rows) in logged(hub, at).into_iter().enumerate() {
            expected[which].extend(rows.split_off(since[which]));
        }
    };
    for _ in 0..50 {
        match dice.below(6) {
            0 => {
                hub.stop().await;
                hub.start().await;
            }
            1 => {
                hub.crash().await;
                hub.start().await;
            }
            2 => {
                hub.settled().await;
                take(&hub, &mut expected, present, since[present]);
                since = (0..variants.len()).map(|at| logged(&hub, at).map(|rows| rows.len())).collect();
                let before = present;
                present = dice.below(variants.len() as u64) as usize;
                let outcome = hub.sql(&create("p", present)).await;
                let Outcome::Changed(change) = outcome else { panic!() };
                changes += usize::from(change.kind == ChangeKind::Replace);
                assert_eq!(change.kind == ChangeKind::Replace, present != before);
                if is_kept {
                    let keeps = vec!["aggregate device, window_start".to_owned()];
                    assert_eq!(change.state, StateChange { keeps, ..StateChange::default() });
                }
            }
            _ => {
                let rows: Vec<String> = (0..1 + dice.below(20))
                    .map(|_| {
                        second += dice.below(1_500) as f64 / 1e3;
                        let behind = if dice.below(15) == 0 { 20_000 } else { 3_000 };
                        row(second - dice.below(behind) as f64 / 1e3, dice.below(300) as i64)
                    })
                    .collect();
                hub.send("homes", &format!("d{}", dice.below(3)), &rows).await;
            }
        }
    }
    hub.send("homes", "d0", &[row(second + 1_000.0, 1)]).await;
    hub.settled().await;
    take(&hub, &mut expected, present, since[present]);
    for (stream, mut expected) in ["p_rows", "p.late"].into_iter().zip(expected) {
        expected.sort_unstable();
        assert_eq!(hub.rows(stream), expected, "seed {seed}: {stream} of {variants:#?}");
        assert!(stream != "p_rows" || expected.len() > 10, "seed {seed}: {} rows", expected.len());
    }
    assert!(changes > 0, "seed {seed}");
}

#[tokio::test]
async fn rows_are_those_of_the_statement_of_their_time_whatever_stops_and_crashes_there_were() {
    for seed in 0..10 {
        live_through(seed, &alike(), true).await;
    }
}

/// What is computed anew has the rows that its windows, frames, joins and patterns reach back to, and those that waited.
#[tokio::test]
async fn a_statement_that_computes_something_else_has_what_came_before_it() {
    for (at, variants) in unlike().iter().enumerate() {
        for seed in 0..4 {
            live_through(100 * at as u64 + seed, variants, false).await;
        }
    }
}

#[tokio::test]
async fn what_looks_back_keeps_the_rows_that_it_looks_back_at() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let over = |more: &str| {
        format!(
            "CREATE OR REPLACE PIPELINE p INTO p_rows AS SELECT device, ts, sum(n) OVER (PARTITION BY device ORDER BY ts
             RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW) {more} AS x FROM homes"
        )
    };
    hub.sql(&over("")).await;
    hub.send("homes", "a", &[row(1.0, 1), row(2.0, 2), row(5.0, 3)]).await;
    hub.settled().await;
    assert_eq!(totals(&hub), ["1}", "3}"], "the row of second 5 waits for the watermark");
    let Outcome::Changed(change) = hub.sql(&over("+ 100")).await else { panic!() };
    assert_eq!((change.state.begins_empty.len(), change.state.gives_up.len()), (0, 0), "{change}");
    hub.send("homes", "a", &[row(6.0, 4), row(20.0, 0)]).await;
    hub.settled().await;
    assert_eq!(totals(&hub), ["1}", "3}", "106}", "110}"]);
}

#[tokio::test]
async fn more_patience_gives_no_window_a_second_time() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let patient = |seconds: u32| {
        tens("p", "sum(n) AS total", "")
            .replace("p_rows AS", &format!("p_rows ALLOWED LATENESS INTERVAL '{seconds}' SECOND AS"))
    };
    hub.sql(&patient(0)).await;
    hub.send("homes", "a", &[row(1.0, 5), row(13.0, 6)]).await;
    hub.settled().await;
    assert_eq!(totals(&hub), ["5}"]);
    hub.sql(&patient(5)).await;
    // By the clock of the longer patience the window from 0 would be open until a row of second 17.
    hub.send("homes", "a", &[row(9.0, 1), row(12.0, 7), row(30.0, 0)]).await;
    hub.settled().await;
    assert_eq!(totals(&hub), ["5}", "13}"]);
    assert_eq!(hub.rows("p.late").len(), 1);
}
