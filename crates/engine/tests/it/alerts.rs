//! Alerts that begin and end: on random streams against a model that looks at all rows, and on a hub.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::{Select, Statement, parse_one};
use springhouse_engine::{Catalog, PreviewWish};
use springhouse_meta::{AlertEvent, AlertFilter};
use springhouse_model::{Severity, TenantId, Timestamp};

use crate::case::{driven, late, selected};
use crate::hub::{Hub, at, row, rows_at};
use crate::readings::{Reading, batch, cuts, homes, readings, time};

#[derive(Clone, Debug)]
struct Setting {
    delay_ms: i64,
    lateness_ms: i64,
    /// A row fires with `n` above it; without, all do.
    above: Option<i64>,
    /// A row resolves with `n` below it.
    below: Option<i64>,
    after_ms: Option<i64>,
    /// Whether the query names the time of its rows.
    names_ts: bool,
    readings: Vec<Reading>,
    cuts: Vec<usize>,
    restart_every: usize,
}

fn settings() -> impl Strategy<Value = Setting> {
    let times = (prop::sample::select(vec![0, 100, 1_000, 5_000]), prop::sample::select(vec![0, 0, 500]));
    let above = prop::option::weighted(0.8, -10..10_i64);
    // One end at least.
    let ends = (prop::option::of(-10..10_i64), prop::option::of((1..40_i64).prop_map(|tenths| tenths * 100)))
        .prop_map(|(below, after_ms)| (below, after_ms.or(below.is_none().then_some(1_000))));
    (times, above, ends, any::<bool>(), readings(100, -10..10), cuts(), 0..4_usize).prop_map(
        |((delay_ms, lateness_ms), above, (below, after_ms), names_ts, readings, cuts, restart_every)| {
            Setting { delay_ms, lateness_ms, above, below, after_ms, names_ts, readings, cuts, restart_every }
        },
    )
}

fn statement(setting: &Setting) -> String {
    let when = setting.below.map(|below| format!("RESOLVE WHEN n < {below}")).unwrap_or_default();
    let after = setting.after_ms.map(|after| format!("RESOLVE AFTER INTERVAL '{after}' MILLISECOND"));
    let after = after.unwrap_or_default();
    let lateness = match setting.lateness_ms {
        0 => String::new(),
        ms => format!("ALLOWED LATENESS INTERVAL '{ms}' MILLISECOND"),
    };
    let ts = if setting.names_ts { "ts, " } else { "" };
    let condition = setting.above.map(|above| format!("WHERE n > {above}")).unwrap_or_default();
    format!("CREATE ALERT a {when} {after} {lateness} AS SELECT {ts}device, n FROM homes {condition}")
}

/// What is open for a device.
#[derive(Clone)]
struct Open {
    fired_at: i64,
    times: u32,
    last: i64,
    n: Option<i64>,
}

/// The rows that come out, and the late rows: one row after the other in the order of time, with the ends by time alone
/// looked for before each of them.
fn model(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let meets = |n: Option<i64>, condition: &dyn Fn(i64) -> bool| n.is_some_and(condition);
    let resolves = |n: Option<i64>| setting.below.is_some_and(|below| meets(n, &|n| n < below));
    let fires = |n: Option<i64>| match setting.above {
        Some(above) => meets(n, &|n| n > above),
        None => !resolves(n),
    };
    let (mut largest, mut on_time, mut late) = (None, Vec::new(), Vec::new());
    for reading in &setting.readings {
        let watermark = largest.map(|largest: i64| largest - setting.delay_ms - setting.lateness_ms);
        largest = largest.max(Some(reading.at_ms));
        if !fires(reading.n) && !resolves(reading.n) {
            continue;
        }
        match watermark {
            Some(watermark) if reading.at_ms < watermark => {
                let by_us = (watermark - reading.at_ms) * 1_000;
                late.push(format!("{}d{} {by_us}", time(reading.at_ms), reading.device));
            }
            _ => on_time.push(reading.clone()),
        }
    }
    on_time.sort_by_key(|reading| reading.at_ms);
    let mut out = Vec::new();
    let mut open: BTreeMap<u8, Open> = BTreeMap::new();
    let row = |ts: i64, device: u8, n: Option<i64>, event: &str, of: &Open| {
        let ts = if setting.names_ts { format!(r#""ts":{},"#, time(ts)) } else { String::new() };
        let n = n.map_or("null".to_owned(), |n| n.to_string());
        let (fired_at, times) = (time(of.fired_at), of.times);
        format!(
            r#"{{{ts}"device":"d{device}","n":{n},"event":"{event}","fired_at":{fired_at},"times":{times}}}"#
        )
    };
    let pass = |until: i64, open: &mut BTreeMap<u8, Open>, out: &mut Vec<String>| {
        let Some(after) = setting.after_ms else { return };
        let mut over: Vec<(i64, u8)> =
            open.iter().map(|(device, open)| (open.last + after, *device)).collect();
        over.retain(|(deadline, _)| *deadline <= until);
        over.sort_unstable();
        for (deadline, device) in over {
            let ended = open.remove(&device).unwrap();
            out.push(row(deadline, device, ended.n, "resolved", &ended));
        }
    };
    for Reading { at_ms, device, n } in on_time {
        pass(at_ms, &mut open, &mut out);
        match (fires(n), open.get_mut(&device)) {
            (true, Some(open)) => *open = Open { times: open.times + 1, last: at_ms, n, ..*open },
            (true, None) => {
                let begun = Open { fired_at: at_ms, times: 1, last: at_ms, n };
                out.push(row(at_ms, device, n, "fired", &begun));
                open.insert(device, begun);
            }
            (false, Some(_)) => {
                let ended = open.remove(&device).unwrap();
                out.push(row(at_ms, device, n, "resolved", &ended));
            }
            (false, None) => {}
        }
    }
    pass(i64::MAX, &mut open, &mut out);
    (out, late)
}

fn select_of(sql: &str) -> Select {
    let Statement::CreateAlert(alert) = parse_one(sql).unwrap() else { panic!("{sql}") };
    alert.select
}

fn planned(setting: &Setting) -> Arc<Plan> {
    planned_as(setting, &statement(setting))
}

fn planned_as(setting: &Setting, sql: &str) -> Arc<Plan> {
    Arc::new(plan(&select_of(sql), &Catalog::new([homes(setting.delay_ms)])).unwrap())
}

fn engine(setting: &Setting) -> (Vec<String>, Vec<String>) {
    let plan = planned(setting);
    let (emitted, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
    (selected(&plan, &emitted.rows), late(&emitted.late))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn episodes_are_those_of_the_model_however_the_stream_is_cut(setting in settings()) {
        let (rows, late) = engine(&setting);
        let (expected_rows, expected_late) = model(&setting);
        prop_assert_eq!(late, expected_late);
        prop_assert_eq!(rows, expected_rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// A match is given when it is decided, which may be long after the rows and matches of other devices.
    #[test]
    fn episodes_of_matches_do_not_depend_on_how_the_stream_is_cut(setting in settings()) {
        let sql = "CREATE ALERT a RESOLVE WHEN low < -5 RESOLVE AFTER INTERVAL '2' SECOND AS SELECT device, low, c
            FROM homes MATCH_RECOGNIZE (PARTITION BY device ORDER BY ts MEASURES min(up.n) AS low, count(up.*) AS c
            PATTERN (up{2,}) WITHIN INTERVAL '3' SECOND DEFINE up AS n <> 3) WHERE low > -2";
        let plan = planned_as(&setting, sql);
        let (cut, _) = driven(&plan, &batch(&setting.readings), &setting.cuts, setting.restart_every);
        let (whole, _) = driven(&plan, &batch(&setting.readings), &[usize::MAX], 0);
        prop_assert_eq!(selected(&plan, &cut.rows), selected(&plan, &whole.rows));
    }
}

const HOMES: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts IDLE AFTER INTERVAL '10' MILLISECOND);";

/// A row of the stream of an alert on `homes`.
fn part(event: &str, device: &str, second: f64, n: i64, fired_at: f64, times: u32) -> String {
    let (ts, fired_at) = (at(second), at(fired_at));
    format!(
        r#"{{"ts":{ts},"device":"{device}","n":{n},"event":"{event}","fired_at":{fired_at},"times":{times}}}"#
    )
}

#[tokio::test]
async fn an_alert_is_over_though_nothing_comes_also_when_the_hub_was_killed_in_between() {
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(
        "CREATE ALERT high RESOLVE AFTER INTERVAL '50' MILLISECOND AS SELECT device, ts, n FROM homes WHERE n > 5",
    )
    .await;
    hub.send("homes", "a", &[row(1.0, 9), row(1.01, 7), row(1.02, 1)]).await;
    hub.until("the first is over", async || hub.rows("alerts.high").len() == 2).await;
    // In the order of their text: a point stands before a Z.
    let first = [part("resolved", "a", 1.06, 7, 1.0, 2), part("fired", "a", 1.0, 9, 1.0, 1)];
    assert_eq!(hub.rows("alerts.high"), first);
    hub.send("homes", "b", &[row(2.0, 6)]).await;
    hub.until("the second begins", async || hub.rows("alerts.high").len() >= 3).await;
    hub.crash().await;
    hub.start().await;
    hub.until("the second is over", async || hub.rows("alerts.high").len() == 4).await;
    hub.settled().await;
    let second = [part("resolved", "b", 2.05, 6, 2.0, 1), part("fired", "b", 2.0, 6, 2.0, 1)];
    assert_eq!(hub.rows("alerts.high"), [first, second].concat());
}

/// What the recorder of alerts would write for an episode that has begun.
async fn fired(hub: &Hub, id: &str, second: f64) {
    let event = AlertEvent {
        id: id.to_owned(),
        tenant: TenantId::main(),
        alert: "high".to_owned(),
        severity: Severity::Warning,
        key: "a".to_owned(),
        at: Timestamp((second * 1e6) as i64),
        row: serde_json::Value::Null,
        resolved_at: None,
        times: Some(1),
        note: None,
        acknowledged_at: None,
        acknowledged_by: None,
    };
    hub.meta.record_alerts(&[event], None).await.unwrap();
}

/// Whether an event is firing, or why it is over.
async fn standing(hub: &Hub) -> Vec<Option<String>> {
    let events = hub.meta.alerts(&TenantId::main(), &AlertFilter::default(), 9).await.unwrap();
    let standing = |event: AlertEvent| if event.is_firing() { None } else { event.note };
    events.into_iter().map(standing).collect()
}

#[tokio::test]
async fn what_is_firing_goes_on_in_a_successor_that_computes_the_same_and_is_over_otherwise() {
    let hub = Hub::new().await;
    hub.sql("CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts IDLE NEVER);").await;
    let rule = |severity: &str, above: u32| {
        format!(
            "CREATE OR REPLACE ALERT high SEVERITY {severity} RESOLVE WHEN n < 2 AS
             SELECT device, ts, n FROM homes WHERE n > {above}"
        )
    };
    hub.sql(&rule("info", 5)).await;
    hub.send("homes", "a", &rows_at(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])).await;
    hub.settled().await;
    fired(&hub, "one", 6.0).await;
    let said = hub.sql(&rule("critical", 5)).await.to_string();
    assert!(said.ends_with("keeps the state of: order and episodes device"), "{said}");
    assert_eq!(standing(&hub).await, [None]);
    hub.send("homes", "a", &[row(9.0, 1), row(10.0, 4)]).await;
    hub.settled().await;
    assert_eq!(
        hub.rows("alerts.high"),
        [part("fired", "a", 6.0, 6, 6.0, 1), part("resolved", "a", 9.0, 1, 6.0, 3)]
    );
    let said = hub.sql(&rule("critical", 6)).await.to_string();
    assert!(said.contains("reads the log again: order; begins empty: episodes device"), "{said}");
    assert_eq!(standing(&hub).await, [Some("its alert was replaced".to_owned())]);
    fired(&hub, "two", 7.0).await;
    hub.sql("PAUSE PIPELINE high").await;
    assert_eq!(standing(&hub).await[0], None, "a pause ends nothing");
    let said = hub.sql("DROP ALERT high").await.to_string();
    let expected =
        "alert `high` is gone; its stream `alerts.high` stays; 1 that it had fired and not resolved are over";
    assert_eq!(said, expected);
    assert_eq!(standing(&hub).await[0].as_deref(), Some("its alert was dropped"));
}

#[tokio::test]
async fn what_was_firing_is_over_when_the_state_of_its_alert_is_lost() {
    let mut hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql("CREATE ALERT high RESOLVE WHEN n < 2 AS SELECT device, ts, n FROM homes WHERE n > 5").await;
    hub.send("homes", "a", &[row(1.0, 9), row(2.0, 9)]).await;
    hub.settled().await;
    fired(&hub, "one", 1.0).await;
    hub.stop().await;
    std::fs::remove_dir_all(hub.data_dir().join("snapshots")).unwrap();
    hub.start().await;
    assert_eq!(standing(&hub).await, [Some("the state of its alert was lost".to_owned())]);
}

#[tokio::test]
async fn an_alert_explains_its_episodes_and_shows_them_before_it_is_created() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    let sql = "CREATE ALERT high KEY (device) RESOLVE WHEN n < 2 RESOLVE AFTER INTERVAL '1' MINUTE AS
        SELECT device, ts, n FROM homes WHERE n > 5";
    hub.send("homes", "a", &[row(1.0, 9), row(2.0, 9), row(3.0, 1)]).await;
    let wish = PreviewWish { minutes: 5, sample: None, limit: 10, steps: false };
    let preview = hub.engine().preview(&TenantId::main(), sql, wish).await.unwrap();
    let rows: Vec<String> =
        preview.batches.iter().flat_map(|batch| crate::hub::lines(batch, &["ts"])).collect();
    assert_eq!(
        rows,
        [
            r#"{"device":"a","n":9,"event":"fired","fired_at":"2026-01-01T00:00:01Z","times":1}"#,
            r#"{"device":"a","n":1,"event":"resolved","fired_at":"2026-01-01T00:00:01Z","times":2}"#,
        ]
    );
    hub.sql(sql).await;
    let text = hub.sql("EXPLAIN ALERT high").await.to_string();
    let step = "episodes\tby device; over when a row of the key meets the condition that resolves, or none has fired for 1 min";
    assert!(text.contains(step), "{text}");
}
