//! Windows close when traffic stops, and they close the same way for everybody who reads the log.

use springhouse_log::Kind;

use crate::hub::{Hub, at, row, rows_at};

/// Windows of 50 ms, so that the test waits no longer for the clock than that.
const SHORT: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts IDLE AFTER INTERVAL '10' MILLISECOND);";

fn counts(name: &str, source: &str) -> String {
    format!(
        "CREATE PIPELINE {name} INTO {name}_rows AS SELECT device, window_start, count(*) AS c
         FROM TUMBLE({source}, ts, INTERVAL '50' MILLISECOND) GROUP BY device, window_start"
    )
}

#[tokio::test]
async fn a_window_closes_when_nothing_comes_and_a_replay_closes_it_at_the_same_place() {
    let hub = Hub::new().await;
    hub.sql(SHORT).await;
    hub.sql(&counts("live", "homes")).await;
    hub.send("homes", "a", &rows_at(&[1.0, 1.01])).await;
    hub.until("the window closes by itself", async || !hub.rows("live_rows").is_empty()).await;
    let closed =
        r#"{"ts":"2026-01-01T00:00:01.050Z","device":"a","window_start":"2026-01-01T00:00:01Z","c":2}"#;
    assert_eq!(hub.rows("live_rows"), [closed]);
    // The window was closed by a mark, so what comes now is late, although no row has moved the watermark.
    hub.send("homes", "a", &[row(1.02, 3), row(1.06, 4)]).await;
    hub.until("the second window closes", async || hub.rows("live_rows").len() == 2).await;
    hub.settled().await;
    let late = r#"{"ts":"2026-01-01T00:00:01.020Z","device":"a","n":3,"late_by_us":0}"#;
    assert_eq!(hub.rows("live.late"), [late]);
    let marks = hub.records().iter().filter(|record| record.kind == Kind::Marks).count();
    assert_eq!(marks, 2);
    // Whoever reads the log later finds the same windows closed at the same places, without waiting.
    hub.sql(&counts("replay", "homes")).await;
    hub.settled().await;
    assert_eq!(hub.rows("replay_rows"), hub.rows("live_rows"));
    assert_eq!(hub.rows("replay.late"), hub.rows("live.late"));
    assert_eq!(hub.records().iter().filter(|record| record.kind == Kind::Marks).count(), marks);
}

#[tokio::test]
async fn a_stream_that_is_never_idle_keeps_its_windows_open() {
    let hub = Hub::new().await;
    hub.sql(SHORT).await;
    hub.sql("CREATE STREAM patient (n BIGINT, WATERMARK FOR ts AS ts IDLE NEVER)").await;
    hub.sql(&counts("a", "homes")).await;
    hub.sql(&counts("b", "patient")).await;
    hub.send("patient", "x", &rows_at(&[1.0])).await;
    hub.send("homes", "x", &rows_at(&[1.0])).await;
    hub.until("the other stream's window closes", async || !hub.rows("a_rows").is_empty()).await;
    hub.settled().await;
    assert_eq!(hub.rows("b_rows"), [""; 0]);
    hub.send("patient", "x", &rows_at(&[2.0])).await;
    hub.settled().await;
    assert_eq!(hub.rows("b_rows").len(), 1);
}

#[tokio::test]
async fn silence_that_began_before_a_restart_ends_after_it() {
    let mut hub = Hub::new().await;
    hub.sql(SHORT).await;
    hub.sql(&counts("live", "homes")).await;
    hub.send("homes", "a", &rows_at(&[1.0])).await;
    hub.settled().await;
    hub.stop().await;
    hub.start().await;
    hub.until("the window closes by itself", async || !hub.rows("live_rows").is_empty()).await;
    assert_eq!(hub.rows("live_rows").len(), 1);
}

#[tokio::test]
async fn a_silent_stream_holds_a_join_back_until_it_is_idle() {
    let hub = Hub::new().await;
    hub.sql(SHORT).await;
    hub.sql("CREATE STREAM doors (n BIGINT, WATERMARK FOR ts AS ts IDLE AFTER INTERVAL '10' MILLISECOND)")
        .await;
    let join =
        "CREATE PIPELINE pairs INTO pair_rows AS SELECT h.device, h.n AS home, d.n AS door FROM homes h
        LEFT JOIN doors d ON d.device = h.device AND d.ts BETWEEN h.ts AND h.ts + INTERVAL '1' SECOND";
    hub.sql(join).await;
    hub.send("homes", "a", &[row(1.0, 1), row(9.0, 2)]).await;
    hub.send("homes", "b", &[row(1.0, 3)]).await;
    // The doors have had no row yet: nobody knows whether one comes.
    hub.until("the rows of homes are given alone", async || hub.rows("pair_rows").len() >= 2).await;
    let alone = |device: &str, second: u32, n: u32| {
        format!(r#"{{"ts":"2026-01-01T00:00:{second:02}Z","device":"{device}","home":{n},"door":null}}"#)
    };
    assert_eq!(hub.rows("pair_rows")[..2], [alone("a", 2, 1), alone("b", 2, 3)]);
    hub.send("doors", "a", &[row(9.5, 7)]).await;
    hub.until("the pair comes", async || hub.rows("pair_rows").len() == 3).await;
    let pair = r#"{"ts":"2026-01-01T00:00:09.500Z","device":"a","home":2,"door":7}"#;
    assert_eq!(hub.rows("pair_rows")[2], pair);
}

#[tokio::test]
async fn a_door_that_is_left_open_is_an_alert_though_nothing_comes() {
    let mut hub = Hub::new().await;
    hub.sql("CREATE STREAM door (contact TEXT, WATERMARK FOR ts AS ts IDLE AFTER INTERVAL '10' MILLISECOND)")
        .await;
    let query = "SELECT * FROM door MATCH_RECOGNIZE (
        PARTITION BY device ORDER BY ts
        MEASURES opened.ts AS opened_at
        PATTERN (opened quiet* $) WITHIN INTERVAL '50' MILLISECOND
        DEFINE opened AS contact = 'open', quiet AS contact IS DISTINCT FROM 'closed')";
    hub.sql(&format!("CREATE ALERT left_open AS {query}")).await;
    let contact = |second: f64, contact: &str| format!(r#"{{"ts":{},"contact":"{contact}"}}"#, at(second));
    hub.send("door", "front", &[contact(1.0, "open"), contact(1.02, "closed"), contact(1.03, "open")]).await;
    hub.until("time is over", async || !hub.rows("alerts.left_open").is_empty()).await;
    hub.settled().await;
    let first =
        r#"{"ts":"2026-01-01T00:00:01.080Z","device":"front","opened_at":"2026-01-01T00:00:01.030Z"}"#;
    assert_eq!(hub.rows("alerts.left_open"), [first]);
    // An open match goes through a restart, and its time is over after it.
    hub.send("door", "back", &[contact(2.0, "open")]).await;
    hub.settled().await;
    hub.stop().await;
    hub.start().await;
    hub.until("time is over again", async || hub.rows("alerts.left_open").len() == 2).await;
    hub.settled().await;
    let second = r#"{"ts":"2026-01-01T00:00:02.050Z","device":"back","opened_at":"2026-01-01T00:00:02Z"}"#;
    assert_eq!(hub.rows("alerts.left_open"), [first, second]);
    // Whoever reads the log later finds the same without waiting for the clock.
    let marks = hub.records().iter().filter(|record| record.kind == Kind::Marks).count();
    hub.sql(&format!("CREATE PIPELINE replay INTO replayed AS {query}")).await;
    hub.settled().await;
    assert_eq!(hub.rows("replayed"), hub.rows("alerts.left_open"));
    assert_eq!(hub.records().iter().filter(|record| record.kind == Kind::Marks).count(), marks);
    let text = hub.sql("EXPLAIN PIPELINE replay").await.to_string();
    let step = "match\t(opened quiet* $) within 50 ms in rows of one device; after a match past the last row";
    assert!(text.contains(step), "{text}");
    assert!(text.contains("order\tby ts; each row waits until the watermark has passed it"), "{text}");
}
