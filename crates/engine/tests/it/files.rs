//! What a run over files does besides SQL: input, quarantine, targets, counts.

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;

use springhouse_engine::files::{RunFailure, RunOptions, RunStats, Source, Target, run};

use crate::hub::at;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Source {
        fs::write(self.path(name), text).unwrap();
        Source::File(self.path(name))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, sql: &str, input: Source, to: &[(Option<&str>, &str)]) -> Result<RunStats, RunFailure> {
        let to = to.iter().map(|(stream, file)| (stream.map(str::to_owned), Target::File(self.path(file))));
        run(&RunOptions {
            sql: sql.to_owned(),
            from: vec![("homes".to_owned(), input)],
            to: to.collect(),
            quarantine: Some(self.path("quarantine.ndjson")),
            ..RunOptions::default()
        })
    }
}

fn line(second: f64, n: &str) -> String {
    format!(r#"{{"ts":{},"device":"a","n":{n}}}"#, at(second))
}

#[test]
fn what_is_read_is_not_written_and_nothing_is_written_twice() {
    let folder = Folder::new();
    let text = line(1.0, "1");
    let input = folder.write("in", &text);
    std::os::unix::fs::symlink(folder.path("in"), folder.path("link")).unwrap();
    let sql = "CREATE STREAM homes (n BIGINT); SELECT n FROM homes";
    for (to, why) in [("in", "is read"), ("link", "is read"), ("quarantine.ndjson", "is named twice")] {
        let refused = folder.run(sql, input.clone(), &[(None, to)]).unwrap_err().to_string();
        assert!(refused.contains(why) && refused.contains("hint: "), "{refused}");
        assert_eq!(folder.read("in"), text);
        assert!(!folder.path("quarantine.ndjson").exists());
    }
    assert_eq!(folder.run(sql, input, &[(None, "/dev/null")]).unwrap().rows_out, 1);
}

#[test]
fn lines_that_do_not_fit_are_put_aside_with_their_number_and_the_run_goes_on() {
    let folder = Folder::new();
    let text =
        [line(1.0, "1"), "not json".to_owned(), String::new(), line(2.0, "\"x\""), line(3.0, "3")].join("\n");
    let sql = "CREATE STREAM homes (n BIGINT); SELECT n FROM homes";
    let stats = folder.run(sql, folder.write("in", &text), &[(None, "out")]).unwrap();
    assert_eq!((stats.events, stats.quarantined, stats.rows_out, stats.late), (2, 2, 2, 0));
    assert_eq!(folder.read("out"), "{\"n\":1}\n{\"n\":3}\n");
    let put_aside: Vec<serde_json::Value> =
        folder.read("quarantine.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = put_aside
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(seen, [(2, "not_json".to_owned()), (4, "wrong_type".to_owned())]);
    assert_eq!(put_aside[0]["payload"], "not json");
    assert_eq!(put_aside[0]["stream"], "homes");
}

#[test]
fn rows_without_a_value_are_counted_and_kept_like_lines_that_do_not_fit() {
    let folder = Folder::new();
    let rows: Vec<String> = [(1.0, "4"), (2.0, "0"), (3.0, "5")].map(|(second, n)| line(second, n)).into();
    let sql =
        "CREATE STREAM homes (n BIGINT); CREATE PIPELINE p INTO inverses AS SELECT 100 / n AS x FROM homes";
    let stats = folder.run(sql, folder.write("in", &rows.join("\n")), &[(None, "out")]).unwrap();
    assert_eq!((stats.events, stats.quarantined, stats.broken, stats.rows_out), (3, 0, 1, 2));
    assert!(stats.first_broken.unwrap().starts_with("division by zero"));
    assert_eq!(folder.read("out"), "{\"x\":25}\n{\"x\":20}\n");
    let aside: serde_json::Value = serde_json::from_str(&folder.read("quarantine.ndjson")).unwrap();
    assert_eq!((&aside["stream"], &aside["reason"]), (&"inverses".into(), &"not_computed".into()));
    let payload: serde_json::Value = serde_json::from_str(aside["payload"].as_str().unwrap()).unwrap();
    assert_eq!((&payload["device"], &payload["n"]), (&"a".into(), &0.into()));
}

#[test]
fn columns_that_nobody_declared_are_inferred_and_counts_are_told() {
    let folder = Folder::new();
    let rows: Vec<String> = [1.0, 2.0, 30.0, 3.0].map(|second| line(second, "0.5")).into();
    let sql = "SELECT device, window_start, sum(n) AS s FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start";
    let stats = folder.run(sql, folder.write("in", &rows.join("\n")), &[(None, "out")]).unwrap();
    assert_eq!((stats.events, stats.late, stats.quarantined, stats.rows_out), (4, 1, 0, 2));
    assert!(stats.wall_seconds > 0.0);
    let first = folder.read("out").lines().next().unwrap().to_owned();
    assert_eq!(first, r#"{"device":"a","window_start":"2026-01-01T00:00:00Z","s":1.0}"#);
}

#[test]
fn every_stream_can_have_its_file_and_a_declared_one_keeps_its_columns() {
    let folder = Folder::new();
    let rows: Vec<String> = [1.0, 30.0, 3.0].map(|second| line(second, "5")).into();
    let sql = "CREATE STREAM homes (n BIGINT); CREATE STREAM sums (s BIGINT, note TEXT);
        CREATE PIPELINE tens INTO sums AS SELECT device, sum(n) AS s FROM TUMBLE(homes, ts, INTERVAL '10' SECOND)
        GROUP BY device, window_start;
        CREATE ALERT high SEVERITY info AS SELECT device, s, note FROM sums WHERE s > 1";
    let to = [(Some("sums"), "sums"), (Some("tens.late"), "late"), (None, "alerts")];
    // The result is that of the last statement.
    let stats = folder.run(sql, folder.write("in", &rows.join("\n")), &to).unwrap();
    assert_eq!((stats.rows_out, stats.late), (2, 1));
    assert_eq!(folder.read("sums").lines().count(), 2);
    assert_eq!(folder.read("alerts"), "{\"device\":\"a\",\"s\":5,\"note\":null}\n".repeat(2));
    assert!(folder.read("late").contains(r#""late_by_us":15000000"#));
}

#[test]
fn what_cannot_be_run_says_what_is_missing() {
    let folder = Folder::new();
    let input = folder.write("in", &line(1.0, "1"));
    let check = |sql: &str, to: &[(Option<&str>, &str)], expected: &str| {
        let error = folder.run(sql, input.clone(), to).expect_err(sql).to_string();
        assert!(error.contains(expected), "{sql}\nfound    {error}\nexpected {expected}");
    };
    check("", &[], "the SQL holds no SELECT and no CREATE PIPELINE");
    check("SELECT n FROM homes", &[(Some("other"), "x")], "--to: no pipeline fills the stream `other`");
    let pipeline = "CREATE PIPELINE p INTO q AS SELECT n FROM homes";
    check(pipeline, &[(None, "x"), (Some("q"), "y")], "--to: `q` goes to another file already");
    let missing = folder.run("SELECT n FROM homes", Source::File(folder.path("nothing")), &[]).unwrap_err();
    assert!(matches!(missing, RunFailure::Io { doing: "open", .. }), "{missing}");
    let undeclared = folder.run("SELECT n FROM homes", Source::Stdin, &[]).unwrap_err().to_string();
    assert!(undeclared.contains("the columns of standard input must be declared"), "{undeclared}");
}

/// Lines of about 5 MiB, of which some do not fit, and one is too long to be one.
fn many_lines() -> String {
    let mut text = String::new();
    for n in 0..60_000_u32 {
        let second = f64::from(n) / 100.0 - f64::from(n % 13);
        match n % 997 {
            5 => text.push_str("{\"n\":"),
            _ => text.push_str(&line(100.0 + second, &n.to_string())),
        }
        text.push('\n');
    }
    text + &"x".repeat(11 << 20)
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = Folder::new();
    let input = folder.write("in", &many_lines());
    let sql = "CREATE STREAM homes (n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
        CREATE PIPELINE tens INTO sums AS SELECT device, window_start, count(*) AS c, sum(n) AS s
        FROM TUMBLE(homes, ts, INTERVAL '10' SECOND) GROUP BY device, window_start";
    let with_threads = |threads: usize| {
        let options = RunOptions {
            sql: sql.to_owned(),
            from: vec![("homes".to_owned(), input.clone())],
            to: vec![
                (None, Target::File(folder.path("out"))),
                (Some("tens.late".to_owned()), Target::File(folder.path("late"))),
            ],
            quarantine: Some(folder.path("quarantine.ndjson")),
            threads: NonZero::new(threads),
            ..RunOptions::default()
        };
        let stats = run(&options).unwrap();
        let counts = (stats.events, stats.quarantined, stats.late, stats.rows_out);
        (counts, ["out", "late", "quarantine.ndjson"].map(|file| folder.read(file)))
    };
    let (counts, files) = with_threads(1);
    // 61 lines are cut short and one is too long; half of them come 6 to 12 seconds late.
    let (events, quarantined, late, rows_out) = counts;
    assert_eq!((events, quarantined), (60_000 - 61, 62));
    // Event times end at 700 s, and the first that is in time is at 94 s: windows from 90 to 690 s.
    assert!(late > 10_000 && rows_out == 61, "{counts:?}");
    assert_eq!(files[2].lines().last().map(|line| line.contains(r#""line":59826,"#)), Some(true));
    for threads in [2, 5] {
        assert!(with_threads(threads) == (counts, files.clone()), "{threads} threads");
    }
}

#[test]
fn of_several_streams_none_runs_ahead() {
    let folder = Folder::new();
    let lines = |step: i64| {
        let tenths = (0..40_000).map(|n| n * step);
        tenths.map(|tenth| line(tenth as f64 / 10.0, &tenth.to_string())).collect::<Vec<_>>().join("\n")
    };
    // The second has its rows in a third of the time.
    let (long, short) = (folder.write("long", &lines(3)), folder.write("short", &lines(1)));
    let options = RunOptions {
        sql: "CREATE STREAM a (n BIGINT); CREATE STREAM b (n BIGINT);
              SELECT n FROM a UNION ALL SELECT n FROM b"
            .to_owned(),
        from: vec![("a".to_owned(), long), ("b".to_owned(), short)],
        to: vec![(None, Target::File(folder.path("out")))],
        ..RunOptions::default()
    };
    assert_eq!(run(&options).unwrap().rows_out, 80_000);
    let (mut latest, mut behind) = (0, 0);
    for line in folder.read("out").lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let tenth = row["n"].as_i64().unwrap();
        latest = latest.max(tenth);
        behind = behind.max(latest - tenth);
    }
    // A piece of a megabyte holds fewer than 20,000 of these lines, which are 6,000 seconds of the first stream.
    assert!(behind < 60_000, "{behind} tenths of a second");
}
