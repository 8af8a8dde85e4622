//! Many pipelines that read the log together give what each would give alone.

use crate::dice::Dice;
use crate::hub::{Hub, row};

/// More than one scan has riders, whatever the number of threads.
const RULES: i64 = 40;

fn rule(at: i64) -> String {
    format!(
        "CREATE PIPELINE rule{at} INTO above{at} AS SELECT device, ts, n FROM homes WHERE n > {}",
        at * 25
    )
}

/// The values that the rule gives, by hand: those above its bound.
fn above(sent: &[i64], at: i64) -> Vec<i64> {
    let mut above: Vec<i64> = sent.iter().copied().filter(|n| *n > at * 25).collect();
    above.sort_unstable();
    above
}

fn given(hub: &Hub, at: i64) -> Vec<i64> {
    let number = |line: &String| {
        let (_, rest) = line.split_once(r#""n":"#).unwrap();
        rest.trim_end_matches('}').parse().unwrap()
    };
    let mut given: Vec<i64> = hub.rows(&format!("above{at}")).iter().map(number).collect();
    given.sort_unstable();
    given
}

async fn send(hub: &Hub, dice: &mut Dice, sent: &mut Vec<i64>) {
    for _ in 0..dice.below(6) + 1 {
        let values: Vec<i64> = (0..dice.below(5) + 1).map(|_| dice.below(1_000) as i64).collect();
        let rows: Vec<String> =
            values.iter().zip(sent.len()..).map(|(n, at)| row(at as f64 / 10.0, *n)).collect();
        hub.send("homes", "a", &rows).await;
        sent.extend(values);
    }
}

/// Rules come while data flows, are paused, fail, are stopped and crash; each gives every row once.
#[tokio::test]
async fn each_of_many_rules_gives_its_rows_once_whatever_the_others_do() {
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let mut hub = Hub::new().await;
        hub.sql("CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts)").await;
        // It cannot deal with any row, beside the others.
        hub.sql("CREATE PIPELINE broken INTO nothing AS SELECT device, 1 / (n - n) AS x FROM homes").await;
        let (mut sent, mut paused) = (Vec::new(), Vec::new());
        for at in 0..RULES {
            hub.sql(&rule(at)).await;
            match dice.below(8) {
                0 | 1 => send(&hub, &mut dice, &mut sent).await,
                2 => {
                    let other = dice.below(at as u64 + 1) as i64;
                    hub.sql(&format!("PAUSE PIPELINE rule{other}")).await;
                    paused.push(other);
                }
                3 => {
                    hub.stop().await;
                    hub.start().await;
                }
                4 => {
                    hub.crash().await;
                    hub.start().await;
                }
                _ => {}
            }
        }
        send(&hub, &mut dice, &mut sent).await;
        hub.settled().await;
        for at in (0..RULES).filter(|at| !paused.contains(at)) {
            assert_eq!(given(&hub, at), above(&sent, at), "seed {seed}, rule {at}");
        }
        for at in &paused {
            hub.sql(&format!("RESUME PIPELINE rule{at}")).await;
        }
        hub.settled().await;
        for at in 0..RULES {
            assert_eq!(given(&hub, at), above(&sent, at), "seed {seed}, rule {at}");
        }
        let broken = hub.status_of("broken").await;
        assert_eq!((broken.rows_out, broken.broken), (0, sent.len() as u64), "seed {seed}");
        hub.stop().await;
    }
}

/// Those that read other streams have come as far as the log, although they were given nothing.
#[tokio::test]
async fn a_rule_whose_stream_is_silent_is_not_behind() {
    let mut hub = Hub::new().await;
    hub.sql("CREATE STREAM homes (n BIGINT); CREATE STREAM silent (n BIGINT)").await;
    hub.sql(&rule(0)).await;
    hub.sql("CREATE PIPELINE quiet INTO quiet_rows AS SELECT n FROM silent").await;
    hub.send("homes", "a", &[row(1.0, 7)]).await;
    hub.settled().await;
    assert_eq!(hub.status_of("quiet").await.lag_records, 0);
    // Its snapshot says so too: the log need not be kept for it.
    hub.stop().await;
    let end = hub.log.end();
    hub.start().await;
    assert_eq!(hub.status_of("quiet").await.lag_records, 0);
    assert_eq!(hub.log.end(), end);
}

/// Rules for some devices; `is` says of which the row is, in two ways that mean the same.
fn rules_of_devices(suffix: &str, is: impl Fn(&[&str]) -> String) -> String {
    format!(
        "CREATE PIPELINE high{suffix} INTO high_rows{suffix} AS SELECT device, ts, n FROM homes WHERE {one} AND n > 300;
         CREATE PIPELINE tens{suffix} INTO ten_rows{suffix} AS SELECT device, window_start, count(*) AS c, sum(n) AS total
           FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) WHERE {two} GROUP BY device, window_start;
         CREATE PIPELINE parts{suffix} INTO part_rows{suffix} AS SELECT device, ts, 100 / (n % 5) AS part FROM homes
           WHERE n < 900 AND {one};
         CREATE PIPELINE both{suffix} INTO both_rows{suffix} AS SELECT device, ts, n FROM homes WHERE {one}
           UNION ALL SELECT device, ts, -n AS n FROM homes WHERE {two} AND n > 500",
        one = is(&["d1"]),
        two = is(&["d2", "d4"]),
    )
}

const OF_DEVICES: [(&str, &str); 4] =
    [("high", "high_rows"), ("tens", "ten_rows"), ("parts", "part_rows"), ("both", "both_rows")];

/// A rule that names its devices is not given the rows of others. It must not be seen in what it gives.
#[tokio::test]
async fn a_rule_of_a_device_gives_what_it_would_give_if_it_saw_all_rows() {
    for seed in 0..8 {
        let mut dice = Dice::new(seed);
        let mut hub = Hub::new().await;
        hub.sql("CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND IDLE NEVER)")
            .await;
        let named = |devices: &[&str]| match devices {
            [one] => format!("device = '{one}'"),
            more => format!("device IN ('{}')", more.join("', '")),
        };
        // The same, so that nobody can tell which devices are meant.
        let hidden = |devices: &[&str]| {
            let same: Vec<String> = devices
                .iter()
                .map(|device| format!("reverse(device) = '{}'", device.chars().rev().collect::<String>()))
                .collect();
            format!("({})", same.join(" OR "))
        };
        hub.sql(&rules_of_devices("", named)).await;
        hub.sql(&rules_of_devices("_all", hidden)).await;
        let mut second = 100.0;
        for _ in 0..60 {
            if dice.below(12) == 0 {
                hub.crash().await;
                hub.start().await;
            }
            let rows: Vec<String> = (0..=dice.below(4))
                .map(|_| {
                    second += dice.below(1_000) as f64 / 1e3;
                    let behind = if dice.below(8) == 0 { 20_000 } else { 2_000 };
                    row(second - dice.below(behind) as f64 / 1e3, dice.below(1_000) as i64)
                })
                .collect();
            hub.send("homes", &format!("d{}", dice.below(6)), &rows).await;
        }
        hub.settled().await;
        for (pipeline, stream) in OF_DEVICES {
            let (one, other) =
                (hub.status_of(pipeline).await, hub.status_of(&format!("{pipeline}_all")).await);
            assert_eq!(hub.rows(stream), hub.rows(&format!("{stream}_all")), "seed {seed}, {stream}");
            assert_eq!(
                (one.rows_in, one.rows_out, one.late, one.broken, one.watermark),
                (other.rows_in, other.rows_out, other.late, other.broken, other.watermark),
                "seed {seed}, {pipeline}"
            );
            assert!(one.rows_out > 0, "seed {seed}, {pipeline}");
        }
        assert_eq!(hub.rows("tens.late"), hub.rows("tens_all.late"), "seed {seed}");
        assert!(!hub.rows("tens.late").is_empty() && hub.status_of("parts").await.broken > 0, "seed {seed}");
        hub.stop().await;
    }
}
