//! The life of pipelines on a hub: what comes out, and what a person can do with them while data flows.

use springhouse_engine::RunState;
use springhouse_meta::{PipelineKind, PipelineState};
use springhouse_model::{Severity, TenantId};

use crate::hub::{Hub, key, row, rows_at};

const HOMES: &str = "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);";
const TENS: &str = "CREATE PIPELINE tens INTO tens_rows AS
    SELECT device, window_start, count(*) AS c, sum(n) AS total FROM TUMBLE(homes, ts, INTERVAL '10' SECOND)
    GROUP BY device, window_start;";

#[tokio::test]
async fn a_pipeline_created_while_data_flows_gives_every_window_once() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.send("homes", "a", &rows_at(&[1.0, 2.0, 12.0])).await;
    hub.sql(TENS).await;
    hub.send("homes", "b", &rows_at(&[3.0, 9.0])).await;
    hub.settled().await;
    // The largest time is 12 s, the watermark 7 s: nothing is complete.
    assert_eq!(hub.rows("tens_rows"), [""; 0]);
    hub.send("homes", "a", &rows_at(&[15.0])).await;
    hub.settled().await;
    // `ts` is the end of the window, the moment at which the row is known.
    let first = [
        r#"{"ts":"2026-01-01T00:00:10Z","device":"a","window_start":"2026-01-01T00:00:00Z","c":2,"total":3}"#,
        r#"{"ts":"2026-01-01T00:00:10Z","device":"b","window_start":"2026-01-01T00:00:00Z","c":2,"total":3}"#,
    ];
    assert_eq!(hub.rows("tens_rows"), first);
    hub.send("homes", "a", &rows_at(&[25.0])).await;
    hub.settled().await;
    assert_eq!(hub.rows("tens_rows").len(), 3);
    let status = hub.status_of("tens").await;
    assert_eq!((status.rows_in, status.rows_out, status.late), (7, 3, 0));
    assert_eq!(status.watermark.unwrap().to_string(), "2026-01-01T00:00:20Z");
}

#[tokio::test]
async fn rows_after_their_window_go_to_the_late_stream_with_what_they_were_late_by() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 16.0])).await;
    hub.send("homes", "a", &[row(9.0, 7)]).await;
    hub.settled().await;
    // The watermark stood at 11 s and the window had ended at 10 s.
    let late = [r#"{"ts":"2026-01-01T00:00:09Z","device":"a","n":7,"late_by_us":1000000}"#];
    assert_eq!(hub.rows("tens.late"), late);
    assert_eq!(hub.status_of("tens").await.late, 1);
    assert_eq!(hub.rows("tens_rows").len(), 1);
}

#[tokio::test]
async fn allowed_lateness_delays_the_result_and_takes_the_row() {
    let hub = Hub::new().await;
    let sql = TENS.replace("AS\n", "ALLOWED LATENESS INTERVAL '10' SECOND AS\n");
    hub.sql(&format!("{HOMES}{sql}")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 24.0])).await;
    hub.send("homes", "a", &[row(9.0, 7)]).await;
    hub.settled().await;
    assert_eq!((hub.rows("tens_rows").len(), hub.rows("tens.late").len()), (0, 0));
    hub.send("homes", "a", &rows_at(&[25.0])).await;
    hub.settled().await;
    let rows = hub.rows("tens_rows");
    assert_eq!(rows.len(), 1);
    assert!(rows[0].ends_with(r#""c":2,"total":8}"#), "{rows:?}");
}

#[tokio::test]
async fn an_alert_fires_into_its_stream_and_not_for_what_was_there_before() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.send("homes", "a", &[row(1.0, 99)]).await;
    hub.sql("CREATE ALERT hot SEVERITY critical AS SELECT device, ts, n FROM homes WHERE n > 90").await;
    hub.send("homes", "a", &[row(2.0, 91), row(3.0, 5)]).await;
    hub.settled().await;
    assert_eq!(hub.rows("alerts.hot"), [r#"{"ts":"2026-01-01T00:00:02Z","device":"a","n":91}"#]);
    assert_eq!(
        hub.status_of("hot").await.kind,
        PipelineKind::Alert { severity: Severity::Critical, key: Vec::new() }
    );
    assert_eq!(hub.sql("SHOW ALERTS").await.to_string(), "hot\trunning\tINTO alerts.hot");
}

#[tokio::test]
async fn pipelines_read_what_pipelines_write() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    hub.sql(
        "CREATE PIPELINE minutes INTO minute_rows AS SELECT window_start, sum(c) AS c, sum(total) AS total
         FROM TUMBLE(tens_rows, ts, INTERVAL '1' MINUTE) GROUP BY window_start",
    )
    .await;
    // Device `a` runs ahead by less than the delay of the watermark; the others are in order.
    for second in (0..140).step_by(5) {
        for (device, ahead) in [("a", 4.0), ("b", 0.0), ("c", 0.0)] {
            let rows: Vec<String> = (0..5).map(|n| row(f64::from(second + n) + ahead, 1)).collect();
            hub.send("homes", device, &rows).await;
        }
    }
    hub.settled().await;
    assert_eq!(hub.rows("tens.late"), [""; 0]);
    assert_eq!(hub.rows("minutes.late"), [""; 0]);
    // Windows that end at 10, 20, … 50 s are rows of the first minute, those that end at 60 … 110 s of the second.
    let counts: Vec<i64> = hub
        .rows("minute_rows")
        .iter()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["c"].as_i64().unwrap())
        .collect();
    // `a` begins at second 4.
    assert_eq!(counts, [3 * 50 - 4, 3 * 60]);
}

#[tokio::test]
async fn explain_tells_the_steps_of_a_pipeline_and_where_it_stands() {
    let hub = Hub::new().await;
    let minutes = "CREATE PIPELINE minutes INTO minute_rows ALLOWED LATENESS INTERVAL '90' SECOND AS
        SELECT device, window_end, sum(n) * 2 AS twice, count(*) AS c FROM HOP(homes, ts, INTERVAL '20' SECOND, INTERVAL '1' MINUTE)
        WHERE n > 3 GROUP BY device, window_end;";
    hub.sql(&format!("{HOMES}{minutes}")).await;
    hub.send("homes", "a", &[row(1.0, 7), row(2.0, 2)]).await;
    hub.settled().await;
    let text = hub.sql("EXPLAIN PIPELINE minutes").await.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let [read, steps @ .., write, state] = lines.as_slice() else { panic!("{text}") };
    assert_eq!(*read, "read\thomes; watermark 5 s behind the largest ts, and 90 s that rows may be late");
    assert!(steps.contains(&"filter\tn > 3"), "{text}");
    assert!(steps.contains(&"window\teach row into its 20 s"), "{text}");
    let aggregate =
        "sum(homes.n), count(*) by device, window_end; windows of 1 min every 20 s from slices of 20 s";
    assert!(steps.contains(&format!("aggregate\t{aggregate}").as_str()), "{text}");
    assert_eq!(*write, "write\tminute_rows, late rows to minutes.late");
    assert!(state.starts_with("running\twatermark 2025-12-31T23:59:57Z; "), "{text}");
    assert!(state.contains("; 2 rows in, 0 out, 0 late, 0 broken; computed for "), "{text}");
    assert!(hub.status_of("minutes").await.busy.as_nanos() > 0);
}

#[tokio::test]
async fn a_paused_pipeline_misses_nothing() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 2.0])).await;
    hub.settled().await;
    hub.sql("PAUSE PIPELINE tens").await;
    hub.send("homes", "a", &rows_at(&[3.0, 30.0])).await;
    let status = hub.status_of("tens").await;
    assert_eq!((status.state, status.rows_in), (RunState::Paused, 2));
    assert_eq!(hub.rows("tens_rows"), [""; 0]);
    hub.sql("RESUME PIPELINE tens").await;
    hub.settled().await;
    assert_eq!(hub.rows("tens_rows").len(), 1);
    assert!(hub.rows("tens_rows")[0].contains(r#""c":3"#));
    assert_eq!(hub.status_of("tens").await.rows_in, 4);
}

#[tokio::test]
async fn a_dropped_pipeline_leaves_its_rows_and_frees_the_log() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 30.0])).await;
    hub.settled().await;
    let holds = || hub.log.stats().holds.iter().filter(|(name, _)| name.starts_with("pipeline-")).count();
    assert_eq!(holds(), 1);
    let in_use = hub.refusal("DROP STREAM homes").await;
    assert_eq!(in_use, "stream `homes` is in use by `tens`; hint: drop what uses it first");
    hub.sql("DROP PIPELINE tens").await;
    assert_eq!(holds(), 0);
    assert_eq!(hub.status().await.len(), 0);
    assert_eq!(std::fs::read_dir(hub.data_dir().join("snapshots")).unwrap().count(), 0);
    assert_eq!(hub.rows("tens_rows").len(), 1);
    hub.sql("DROP STREAM homes; DROP PIPELINE IF EXISTS tens").await;
    assert_eq!(hub.refusal("DROP PIPELINE tens").await, "pipeline `tens` does not exist");
}

#[tokio::test]
async fn a_replaced_pipeline_goes_on_with_the_next_row() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES} CREATE PIPELINE p INTO q AS SELECT device, ts, n FROM homes")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 2.0])).await;
    hub.settled().await;
    hub.sql("CREATE OR REPLACE PIPELINE p INTO q AS SELECT device, ts, n, n * 10 AS tenfold FROM homes")
        .await;
    hub.send("homes", "a", &[row(3.0, 3)]).await;
    hub.settled().await;
    let rows = hub.rows("q");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows[2], r#"{"ts":"2026-01-01T00:00:03Z","device":"a","n":3,"tenfold":30}"#);
}

#[tokio::test]
async fn a_pipeline_that_fails_stops_alone_and_says_why() {
    let mut hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    hub.sql("CREATE PIPELINE inverse INTO inverses AS SELECT device, 100 / n AS x FROM homes").await;
    let zeros: Vec<String> = (0..10_000).map(|at| row(2.0 + f64::from(at) / 1e5, 0)).collect();
    hub.send("homes", "a", &[row(1.0, 4)]).await;
    hub.send("homes", "a", &zeros).await;
    hub.until("the pipeline fails", async || hub.status_of("inverse").await.state == RunState::Failed).await;
    let status = hub.status_of("inverse").await;
    assert!(status.error.unwrap().contains("division by zero; hint: "));
    hub.send("homes", "a", &rows_at(&[30.0])).await;
    hub.settled().await;
    assert_eq!(hub.rows("tens_rows").len(), 1);
    // It is written down, and a restart does not try again by itself.
    let written = async || {
        let entry = hub.meta.pipeline(&TenantId::main(), "inverse").await.unwrap().unwrap();
        matches!(entry.state, PipelineState::Failed { .. })
    };
    hub.until("the failure is written down", written).await;
    hub.stop().await;
    hub.start().await;
    let status = hub.status_of("inverse").await;
    assert_eq!(status.state, RunState::Failed);
    assert!(status.error.unwrap().contains("division by zero"));
}

#[tokio::test]
async fn a_pipeline_whose_windows_hold_too_much_fails_and_the_others_run_on() {
    let mut hub = Hub::new().await;
    hub.restart_with(|options| options.pipeline_bytes_max = 200_000).await;
    let many = "CREATE PIPELINE many INTO many_rows AS
        SELECT n, count(*) AS c FROM TUMBLE(homes, ts, INTERVAL '1' DAY) GROUP BY n, window_start;";
    hub.sql(&format!("{HOMES}{TENS}{many}")).await;
    let rows: Vec<_> = (0..20_000).map(|n| row(n as f64 / 2_000.0, n)).collect();
    for part in rows.chunks(1_000) {
        hub.send("homes", "a", part).await;
    }
    hub.until("the pipeline fails", async || hub.status_of("many").await.state == RunState::Failed).await;
    let error = hub.status_of("many").await.error.unwrap();
    assert!(error.contains("at most 200000 are allowed; hint: shorter windows, fewer keys"), "{error}");
    hub.send("homes", "a", &rows_at(&[30.0])).await;
    hub.settled().await;
    assert_eq!(hub.rows("tens_rows").len(), 1);
    assert_eq!(hub.status_of("tens").await.state, RunState::Running);
}

#[tokio::test]
async fn a_stream_that_grows_does_not_disturb_its_pipelines() {
    let mut hub = Hub::new().await;
    // The first message declares the stream.
    hub.send("plugs", "a", &[row(1.0, 1)]).await;
    hub.sql("CREATE PIPELINE all_plugs INTO every_plug AS SELECT * FROM plugs").await;
    hub.send("plugs", "a", &[r#"{"ts":"2026-01-01T00:00:02Z","n":2,"power":3.5}"#.to_owned()]).await;
    hub.settled().await;
    hub.stop().await;
    hub.start().await;
    hub.send("plugs", "a", &[row(3.0, 3)]).await;
    hub.settled().await;
    // The pipeline keeps the columns that the stream had when it was created.
    let expected = [1, 2, 3].map(|n| format!(r#"{{"ts":"2026-01-01T00:00:0{n}Z","device":"a","n":{n}}}"#));
    assert_eq!(hub.rows("every_plug"), expected);
    hub.sql("CREATE OR REPLACE PIPELINE all_plugs INTO every_plug AS SELECT * FROM plugs").await;
    hub.send("plugs", "a", &[r#"{"ts":"2026-01-01T00:00:04Z","n":4,"power":4.5}"#.to_owned()]).await;
    hub.settled().await;
    assert!(hub.rows("every_plug")[3].ends_with(r#""n":4,"power":4.5}"#));
}

#[tokio::test]
async fn a_declared_target_takes_what_fits_it() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql("CREATE STREAM sums (total DOUBLE NOT NULL, note TEXT)").await;
    let fits = "CREATE PIPELINE p INTO sums AS SELECT device, CAST(n AS DOUBLE) AS total FROM homes";
    for (sql, why) in [
        ("AS SELECT device, n AS total FROM homes", "its column `total` is Float, the query gives Int"),
        ("AS SELECT device, CAST(n AS DOUBLE) AS total, n FROM homes", "it has no column `n`"),
        (
            "AS SELECT device, 'x' AS note FROM homes",
            "its column `total` is required and the query does not give it",
        ),
    ] {
        let refusal = hub.refusal(&format!("CREATE PIPELINE p INTO sums {sql}")).await;
        assert_eq!(refusal, format!("`p` cannot fill `sums`: {why}"));
    }
    hub.sql(fits).await;
    hub.send("homes", "a", &[row(1.0, 4)]).await;
    hub.settled().await;
    assert_eq!(hub.rows("sums"), [r#"{"ts":"2026-01-01T00:00:01Z","device":"a","total":4.0,"note":null}"#]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_nothing_is_left_behind() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    for (sql, why) in [
        ("CREATE STREAM homes (n BIGINT)", "stream `homes` exists already; hint: DROP STREAM first"),
        (TENS, "pipeline `tens` exists already; hint: CREATE OR REPLACE"),
        ("CREATE ALERT tens AS SELECT n FROM homes", "pipeline `tens` exists already"),
        ("CREATE OR REPLACE ALERT tens AS SELECT n FROM homes", "pipeline `tens` exists already"),
        ("CREATE PIPELINE x INTO homes AS SELECT n FROM homes", "its rows would come back into `homes`"),
        (
            "CREATE PIPELINE x INTO homes AS SELECT c AS n FROM tens_rows",
            "its rows would come back into `tens_rows`",
        ),
        ("CREATE PIPELINE x INTO alerts.x AS SELECT n FROM homes", "belong to alerts; hint: CREATE ALERT"),
        ("CREATE PIPELINE x INTO x.late AS SELECT n FROM homes", "belong to the late rows of a pipeline"),
        ("CREATE PIPELINE x INTO tens.late AS SELECT n FROM homes", "belong to the late rows of a pipeline"),
        ("CREATE PIPELINE x INTO tens_rows AS SELECT n FROM homes", "pipeline `tens` fills it"),
        (
            "CREATE PIPELINE x INTO y AS SELECT n FROM home",
            "stream `home` does not exist; hint: did you mean `homes`?",
        ),
        ("CREATE PIPELINE x INTO y AS SELECT n FROM homes ORDER BY n", "ORDER BY needs all rows"),
        ("CREATE PIPELINE x INTO y AS SELECT avg(n) FROM homes", "never ends without a window"),
        ("SELECT n FROM homes", "this is a query; hint: ask it of the lake"),
        ("PAUSE PIPELINE x", "pipeline `x` does not exist"),
        ("DROP ALERT tens", "alert `tens` does not exist"),
        ("DESCRIBE nothing", "pipeline `nothing` does not exist"),
    ] {
        let refusal = hub.refusal(sql).await;
        assert!(refusal.contains(why), "{sql}\n  got      {refusal}\n  expected {why}");
    }
    assert_eq!(hub.status().await.len(), 1);
    assert!(hub.ingest.registry().entry(&key("y")).is_none());
    assert!(hub.ingest.registry().entry(&key("x.late")).is_none());
    let unchanged = hub.sql("CREATE STREAM IF NOT EXISTS homes (n BIGINT)").await;
    assert_eq!(unchanged.to_string(), "stream `homes` exists already");
    assert_eq!(hub.sql("SHOW PIPELINES").await.to_string(), "tens\trunning\tINTO tens_rows");
    assert_eq!(hub.sql("SHOW STREAMS").await.to_string(), "homes\ntens_rows\ntens.late");
    assert!(hub.sql("DESCRIBE homes").await.to_string().contains("n\tInt64"));
    hub.sql("CREATE STREAM loads (p DOUBLE UNIT 'W')").await;
    assert!(hub.sql("DESCRIBE loads").await.to_string().contains("p\tFloat64\tUNIT 'W'"));
    assert_eq!(hub.sql("DESCRIBE tens").await.to_string(), TENS.trim_end_matches(';'));
}

#[tokio::test]
async fn tenants_do_not_see_each_others_streams() {
    let hub = Hub::new().await;
    hub.sql(&format!("{HOMES}{TENS}")).await;
    let other: TenantId = "other".parse().unwrap();
    let statement =
        springhouse_engine::statement::parse_one("CREATE PIPELINE p INTO q AS SELECT n FROM homes").unwrap();
    let refusal = hub.engine().execute(&other, &statement).await.unwrap_err().to_string();
    assert!(
        refusal.contains("stream `homes` does not exist") && !refusal.contains("did you mean"),
        "{refusal}"
    );
    assert_eq!(hub.engine().status(&other).await.len(), 0);
}
