//! `springhouse run`: the engine over files.

use std::fs;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::program::{run, said};

const WINDOWS: &str = "
CREATE STREAM homes (temp DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
SELECT device, window_start, count(*) AS n, avg(temp) AS t
FROM TUMBLE(homes, ts, INTERVAL '10' SECOND)
GROUP BY device, window_start, window_end;
";

#[test]
fn a_windowed_query_over_a_file_gives_one_row_a_window_and_counts_the_rest() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("q.sql"), WINDOWS).unwrap();
    // Three rows in the first window, one in the third; the last is 30 s late; one line is no JSON.
    let input = [
        r#"{"device":"a","ts":1767225600000,"temp":20.0}"#,
        r#"{"device":"a","ts":1767225601000,"temp":21.0}"#,
        r#"{"device":"a","ts":1767225609999,"temp":22.0}"#,
        "not JSON",
        r#"{"device":"a","ts":1767225629000,"temp":30.0}"#,
        r#"{"device":"a","ts":1767225599000,"temp":1.0}"#,
    ];
    fs::write(directory.path().join("in.ndjson"), input.join("\n")).unwrap();
    let arguments = ["run", "q.sql", "--from", "homes=in.ndjson", "--to", "out.ndjson", "--stats"];
    let (code, stats, error) = said(&run(directory.path(), &arguments));
    assert_eq!(code, Some(0), "{error}");
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(
        (&stats["late"], &stats["quarantined"], &stats["rows_out"]),
        (&json!(1), &json!(1), &json!(2)),
        "{stats}"
    );
    let out = fs::read_to_string(directory.path().join("out.ndjson")).unwrap();
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<(&Value, &Value)> = rows.iter().map(|row| (&row["n"], &row["t"])).collect();
    assert_eq!(found, [(&json!(3), &json!(21.0)), (&json!(1), &json!(30.0))], "{out}");
}

#[test]
fn wrong_sql_ends_with_2_and_names_the_place() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("q.sql"), "SELEKT 1").unwrap();
    let (code, _, error) = said(&run(directory.path(), &["run", "q.sql", "--from", "homes=in.ndjson"]));
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("line 1, column 1"), "{error}");
    let (code, _, error) = said(&run(directory.path(), &["run", "q.sql", "--from", "homes"]));
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("is not STREAM=FILE"), "{error}");
}
