//! What a statement would do, and what a pipeline does: previews, samples and taps.

use springhouse_engine::{PreviewWish, Sample, SeenStep};
use springhouse_model::TenantId;

use crate::hub::{Hub, lines, row};

const HOMES: &str =
    "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER);";
const TENS: &str = "CREATE PIPELINE tens INTO tens_rows AS
    SELECT device, window_start, count(*) AS c, sum(n) AS total
    FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) WHERE n > 1 GROUP BY device, window_start HAVING count(*) > 1";
/// Every window with all of its rows.
const ALL: &str = "SELECT device, window_start, count(*) AS c, sum(n) AS total
    FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start";

fn wish(limit: usize) -> PreviewWish {
    PreviewWish { minutes: 5, sample: None, limit, steps: false }
}

/// A step's word, how many rows it has handed on, and the last of them.
fn told(steps: &[SeenStep]) -> Vec<(&str, u64, Vec<String>)> {
    let rows = |step: &SeenStep| step.batches.iter().flat_map(|batch| lines(batch, HIDDEN)).collect();
    steps.iter().map(|step| (step.step, step.rows, rows(step))).collect()
}

const HIDDEN: &[&str] = &["site", "_received", "_id"];

#[tokio::test]
async fn a_preview_shows_the_last_rows_and_creates_nothing() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    for (second, n) in [(1.0, 1), (11.0, 2), (21.0, 3)] {
        hub.send("homes", "a", &[row(second, n)]).await;
        hub.send("homes", "b", &[row(second, n)]).await;
    }
    let preview = hub.engine().preview(&TenantId::main(), ALL, wish(3)).await.unwrap();
    assert_eq!((preview.scanned, preview.late), (6, 0));
    let rows: Vec<String> = preview.batches.iter().flat_map(|batch| lines(batch, &[])).collect();
    // The windows are closed at the end; the last three of six rows are shown.
    assert_eq!(
        rows,
        [
            r#"{"device":"b","window_start":"2026-01-01T00:00:10Z","c":1,"total":2}"#,
            r#"{"device":"a","window_start":"2026-01-01T00:00:20Z","c":1,"total":3}"#,
            r#"{"device":"b","window_start":"2026-01-01T00:00:20Z","c":1,"total":3}"#,
        ]
    );
    assert_eq!(hub.status().await.len(), 0);
    let drop = hub.engine().preview(&TenantId::main(), "DROP STREAM homes", wish(3)).await.unwrap_err();
    assert!(drop.to_string().contains("DROP STREAM has no rows to preview"), "{drop}");
}

#[tokio::test]
async fn a_preview_shows_what_each_step_hands_on() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.send("homes", "a", &[row(1.0, 1), row(2.0, 2), row(3.0, 3), row(14.0, 4)]).await;
    let wish = PreviewWish { steps: true, ..wish(2) };
    let preview = hub.engine().preview(&TenantId::main(), TENS, wish).await.unwrap();
    let steps = told(&preview.steps);
    let words: Vec<(&str, u64)> = steps.iter().map(|(step, rows, _)| (*step, *rows)).collect();
    // Second 1 is filtered out; the window of second 14 has one row, which HAVING leaves out.
    assert_eq!(words[..2], [("read", 4), ("filter", 3)], "{words:?}");
    let counted =
        words.iter().filter(|(step, _)| matches!(*step, "aggregate" | "filter")).collect::<Vec<_>>();
    assert_eq!(counted, [&("filter", 3), &("aggregate", 2), &("filter", 1)], "{words:?}");
    let [.., (_, _, last)] = &steps[..2] else { panic!() };
    let shown =
        |second: &str, n: i64| format!(r#"{{"ts":"2026-01-01T00:00:{second}Z","device":"a","n":{n}}}"#);
    assert_eq!(*last, [shown("03", 3), shown("14", 4)], "the last two");
}

#[tokio::test]
async fn a_sample_stands_in_for_the_log() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.send("homes", "a", &[row(1.0, 100), row(2.0, 200)]).await;
    let preview = async |stream: &str, lines: &str| {
        let sample = Some(vec![Sample { stream: stream.parse().unwrap(), lines: lines.to_owned() }]);
        hub.engine().preview(&TenantId::main(), TENS, PreviewWish { sample, ..wish(9) }).await
    };
    let given = [(1, 5), (2, 6), (3, 1)]
        .map(|(second, n)| format!(r#"{{"ts":"2026-01-01T00:00:0{second}Z","device":"x","n":{n}}}"#));
    let shown = preview("homes", &given.join("\n")).await.unwrap();
    let rows: Vec<String> = shown.batches.iter().flat_map(|batch| lines(batch, &[])).collect();
    assert_eq!(rows, [r#"{"device":"x","window_start":"2026-01-01T00:00:00Z","c":2,"total":11}"#]);
    let refusal =
        preview("homes", "{\"ts\":\"2026-01-01T00:00:01Z\",\"n\":1}\n{\"n\":\"x\"}").await.unwrap_err();
    assert!(refusal.to_string().contains("row 2 of the sample of `homes`: "), "{refusal}");
    let other = preview("doors", "").await.unwrap_err();
    assert!(other.to_string().contains("the statement does not read `doors`"), "{other}");
}

#[tokio::test]
async fn a_tap_shows_what_passes_while_it_is_open_and_changes_nothing() {
    let hub = Hub::new().await;
    hub.sql(HOMES).await;
    hub.sql(TENS).await;
    hub.send("homes", "a", &[row(1.0, 2), row(2.0, 3)]).await;
    hub.settled().await;
    let name = "tens".parse().unwrap();
    let tenant = TenantId::main();
    let tap = hub.engine().tap(&tenant, &name, 10).await.unwrap();
    hub.send("homes", "a", &[row(3.0, 4), row(13.0, 0)]).await;
    hub.settled().await;
    // The rows of before are not seen; those that come while it is open are, in all steps.
    let steps = tap.seen();
    let steps = told(&steps);
    let of =
        |word: &str| steps.iter().filter(|(step, ..)| *step == word).map(|step| step.1).collect::<Vec<_>>();
    assert_eq!((of("read"), of("filter"), of("aggregate")), (vec![2], vec![1, 1], vec![1]), "{steps:?}");
    let aggregated = &steps.iter().find(|(step, ..)| *step == "aggregate").unwrap().2;
    assert!(aggregated[0].contains(r#""device":"a""#), "{aggregated:?}");
    let total =
        r#"{"ts":"2026-01-01T00:00:10Z","device":"a","window_start":"2026-01-01T00:00:00Z","c":3,"total":9}"#;
    assert_eq!(hub.rows("tens_rows"), [total]);
    hub.sql("PAUSE PIPELINE tens").await;
    let paused = hub.engine().tap(&tenant, &name, 10).await.err().map(|error| error.to_string());
    assert_eq!(paused.as_deref(), Some("`tens` does not run; hint: RESUME PIPELINE tens"));
}
