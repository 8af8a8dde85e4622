//! A folder of SQL files against a running hub: planned, applied, changed, and left alone when anything is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::hub::House;
use crate::program::{command, said};

const METER: &str =
    "-- readings of the house\nCREATE STREAM meter (power DOUBLE, WATERMARK FOR ts AS ts IDLE NEVER);\n";
const TENS: &str = "CREATE PIPELINE tens INTO ten AS\n  SELECT device, window_start, sum(power) AS total\n  \
     FROM TUMBLE(meter, ts, INTERVAL '10' SECOND) GROUP BY device, window_start;\n";
const HIGH: &str =
    "CREATE ALERT high SEVERITY critical AS SELECT ts, device, total FROM ten WHERE total > 1000;\n";

/// A hub and a folder beside its data.
struct Place {
    house: House,
    folder: PathBuf,
}

impl Place {
    fn new() -> Place {
        let house = House::open();
        let folder = house.data().parent().unwrap().join("sql");
        fs::create_dir(&folder).unwrap();
        Place { house, folder }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.join(file), text).unwrap();
    }

    /// `springhouse pipeline …`.
    fn pipeline(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let url = format!("http://{}", self.house.http);
        let mut command = command(Path::new(self.folder.parent().unwrap()));
        command.arg("pipeline").args(arguments);
        command.env("SPRINGHOUSE_URL", url).env("SPRINGHOUSE_TOKEN", &self.house.admin);
        said(&command.output().unwrap())
    }

    /// A reading of the device `d` at a second of 2026.
    fn say(&self, second: i64, power: f64) {
        let ts = 1_767_225_600_000_i64 + second * 1_000;
        self.house.post("/devices/d/streams/meter", &json!({ "ts": ts, "power": power }));
    }

    fn versions(&self) -> Vec<(Value, Value)> {
        let pipelines = self.house.get("/pipelines");
        let pipelines = pipelines.as_array().unwrap().iter();
        pipelines.map(|one| (one["name"].clone(), one["version"].clone())).collect()
    }
}

#[test]
fn a_folder_is_planned_applied_and_then_unchanged() {
    let place = Place::new();
    // The order of the files is not the order in which they can be carried out.
    place.write("1_high.sql", HIGH);
    place.write("2_tens.sql", TENS);
    place.write("3_meter.sql", METER);
    let (code, plan, error) = place.pipeline(&["apply", "sql", "--plan"]);
    assert_eq!(code, Some(2), "{error}");
    assert_eq!(
        plan,
        "+ create stream `meter` (sql/3_meter.sql)\n+ create pipeline `tens` (sql/2_tens.sql)\n\
         + create alert `high` (sql/1_high.sql)\n3 to do, 0 unchanged\n"
    );
    assert_eq!(place.versions(), [], "a plan changes nothing");
    let (code, _, error) = place.pipeline(&["apply", "sql"]);
    assert_eq!(code, Some(2), "without a terminal there is nobody to ask");
    assert!(error.contains("--yes"), "{error}");
    let (code, done, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(done.ends_with("alert `high` is there\n"), "{done}");
    assert_eq!(place.versions(), [(json!("tens"), json!(1)), (json!("high"), json!(1))]);

    // Laid out in another way, it is the same.
    place.write(
        "2_tens.sql",
        &format!("/* every ten seconds */\n{}", TENS.replace('\n', "\n\n").to_lowercase()),
    );
    let (code, plan, error) = place.pipeline(&["apply", "sql", "--plan"]);
    assert_eq!((code, plan.as_str()), (Some(0), "0 to do, 3 unchanged\n"), "{error}");
}

#[test]
fn a_changed_file_keeps_open_windows_and_a_removed_one_drops_its_alert() {
    let place = Place::new();
    place.write("all.sql", &format!("{METER}{TENS}{HIGH}"));
    let (code, _, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(0), "{error}");
    place.say(1, 5.0);
    place.say(12, 7.0);
    place.house.wait_for_rows("SELECT total FROM ten", 1);
    // Behind the aggregation, in the middle of the window from second 10.
    place.write(
        "all.sql",
        &format!("{METER}{}", TENS.replace("AS total", "AS total, sum(power) * 1000 AS milli")),
    );
    let (code, done, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(
        done,
        "- drop alert `high`, which is in no file; its stream stays\n\
         ~ replace pipeline `tens` (sql/all.sql); keeps the state of: aggregate device, window_start\n\
         2 to do, 1 unchanged\nalert `high` is dropped\npipeline `tens` is replaced\n"
    );
    place.say(13, 3.0);
    place.say(25, 0.0);
    let rows = place.house.wait_for_rows("SELECT total, milli FROM ten ORDER BY ts", 2);
    assert_eq!(rows, [[json!(5.0), json!(null)], [json!(10.0), json!(10_000.0)]]);

    let (code, versions, error) = place.pipeline(&["versions", "tens"]);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(versions.lines().count(), 4, "{versions}");
    let (code, back, error) = place.pipeline(&["rollback", "tens", "--to", "1"]);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(
        back,
        "pipeline `tens` runs as version 3 and fills `ten`; keeps the state of: aggregate device, window_start\n"
    );

    // History gives what was written, by the statement of today.
    let span = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:21Z"];
    let (code, rows, error) = place.pipeline(&[&["backtest", "tens"], &span[..]].concat());
    assert_eq!(code, Some(0), "{error}");
    let totals: Vec<Value> =
        rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["total"].clone()).collect();
    assert_eq!(totals, [json!(5.0), json!(10.0)]);
    assert_eq!(error, "2 rows and 0 late ones from 4 rows of the source\n");
    place.write("draft.sql", "SELECT device, ts, power FROM meter WHERE power > 4");
    let file = ["backtest", "sql/draft.sql", "--to-file", "out.ndjson"];
    let (code, rows, error) = place.pipeline(&[&file, &span[..]].concat());
    assert_eq!((code, rows.as_str()), (Some(0), ""), "{error}");
    assert_eq!(fs::read_to_string(place.folder.with_file_name("out.ndjson")).unwrap().lines().count(), 2);
}

#[test]
fn nothing_is_changed_when_any_file_is_wrong() {
    let place = Place::new();
    place.write("a.sql", METER);
    place.write("b.sql", &format!("\n{}", TENS.replace("power", "watts")));
    place.write(
        "c.sql",
        "CREATE ALERT high AS\n  SELECT ts FROM nowhere;\nCREATE PIPELINE x INTO y AS SELECT ts FROM meter",
    );
    let (code, _, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(5), "{error}");
    assert!(error.contains("sql/b.sql: line 3, column 36: "), "{error}");
    assert!(error.contains("sql/c.sql: line 1, column 1: stream `nowhere` does not exist"), "{error}");
    assert!(error.ends_with("nothing was changed\n"), "{error}");
    place.write("b.sql", "CREATE PIPELINE tens\n  ten AS SELECT 1");
    let (code, _, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(5), "{error}");
    assert!(error.contains("sql/b.sql: line 2, column 3: expected INTO, found `ten`"), "{error}");
    let streams = place.house.get("/streams");
    assert!(streams.as_array().unwrap().iter().all(|stream| stream["name"] != "meter"), "{streams}");
    fs::remove_dir_all(&place.folder).unwrap();
    fs::create_dir(&place.folder).unwrap();
    let (code, _, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(5), "an empty folder is more likely a mistake than a wish: {error}");
}

#[test]
fn a_function_that_changes_takes_the_pipelines_of_the_folder_along() {
    let place = Place::new();
    let scaled = "CREATE FUNCTION scaled(x DOUBLE) RETURNS DOUBLE RETURN x * 10;\n";
    let tens = TENS.replace("sum(power)", "scaled(sum(power))");
    place.write("all.sql", &format!("{tens}{METER}{scaled}"));
    let (code, done, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(done.contains("+ create function `scaled` (sql/all.sql)\n"), "{done}");
    place.say(1, 5.0);
    place.say(12, 7.0);
    place.house.wait_for_rows("SELECT total FROM ten", 1);
    place.write("all.sql", &format!("{tens}{METER}{}", scaled.replace("10", "100")));
    let (code, done, error) = place.pipeline(&["apply", "sql", "--yes"]);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(
        done,
        "~ replace function `scaled` (sql/all.sql)\n\
         ~ replace pipeline `tens` (sql/all.sql); takes: `scaled` version 2; keeps the state of: aggregate device, window_start\n\
         2 to do, 1 unchanged\nfunction `scaled` is replaced\npipeline `tens` is replaced\n"
    );
    place.say(25, 0.0);
    let rows = place.house.wait_for_rows("SELECT total FROM ten ORDER BY ts", 2);
    assert_eq!(rows, [[json!(50.0)], [json!(700.0)]]);
    let (code, plan, error) = place.pipeline(&["apply", "sql", "--plan"]);
    assert_eq!((code, plan.as_str()), (Some(0), "0 to do, 3 unchanged\n"), "{error}");
}
