use springhouse_model::ValueType;
use springhouse_schema::Field;

use super::*;

fn catalog() -> Catalog {
    let table = |name: &str, fields: Vec<Field>| StreamTable {
        name: name.parse().unwrap(),
        schema: Schema::new(fields),
        watermark_delay_us: 5_000_000,
    };
    Catalog::new([
        table(
            "homes",
            vec![
                Field::new("temp", ValueType::Float),
                Field::new("n", ValueType::Int),
                Field::new("status", ValueType::Text),
                Field::new("Power", ValueType::Float),
            ],
        ),
        table(
            "hourly.sums",
            vec![Field::new("window_start", ValueType::Time), Field::new("n", ValueType::Int)],
        ),
    ])
}

fn planned(sql: &str) -> Plan {
    plan(&Select::bare(sql), &catalog()).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn refused(sql: &str) -> String {
    plan(&Select::bare(sql), &catalog()).expect_err(sql).to_string()
}

fn columns(sql: &str) -> Vec<(String, ValueType)> {
    planned(sql).output_schema().fields.iter().map(|field| (field.name.clone(), field.ty)).collect()
}

#[test]
fn properties_are_what_is_selected_beside_the_system_columns() {
    use ValueType::{Float, Int, Text, Time};
    let sql = "SELECT device, ts, temp * 1.8 + 32 AS f, \"Power\", n + 1, upper(status) AS s FROM homes WHERE temp > 20";
    let named: Vec<_> = [("f", Float), ("Power", Float), ("n_int64_1", Int), ("s", Text)]
        .map(|(name, ty)| (name.to_owned(), ty))
        .into();
    assert_eq!(columns(sql), named);
    let sql =
        "SELECT device, window_start, count(*) AS c, avg(temp) FROM TUMBLE(homes, ts, INTERVAL '10' SECOND)
               GROUP BY device, window_start HAVING count(*) > 1";
    let named: Vec<_> = [("window_start", Time), ("c", Int), ("avg_temp", Float)]
        .map(|(name, ty)| (name.to_owned(), ty))
        .into();
    assert_eq!(columns(sql), named);
}

#[test]
fn window_functions_are_planned_in_many_spellings() {
    for from in [
        "TUMBLE(homes, ts, INTERVAL '1' MINUTE)",
        "tumble(homes, homes.ts, INTERVAL '60 seconds') AS w",
        "TUMBLE(data => homes, timecol => ts, size => INTERVAL '1' MINUTE)",
        "TUMBLE((SELECT * FROM homes WHERE temp > 1), ts, INTERVAL '1' MINUTE)",
        "(SELECT ts, device, window_start, window_end FROM TUMBLE(homes, ts, INTERVAL '1' HOUR)) AS w",
        "TUMBLE(hourly.sums, ts, INTERVAL '1' DAY)",
        "HOP(homes, ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)",
        "SESSION(homes, ts, INTERVAL '1' MINUTE, device)",
        "(SELECT window_start, status AS device FROM SESSION(homes, ts, INTERVAL '1' MINUTE, status)) AS w",
    ] {
        planned(&format!("SELECT window_start, device, count(*) AS c FROM {from} GROUP BY 1, device"));
    }
    planned("WITH hot AS (SELECT * FROM homes WHERE temp > 30) SELECT device, temp FROM hot");
    planned("SELECT window_start, device, temp FROM TUMBLE(homes, ts, INTERVAL '1' MINUTE)");
}

#[test]
fn what_cannot_run_for_ever_is_refused_with_a_way_on() {
    let tumble = "TUMBLE(homes, ts, INTERVAL '1' MINUTE)";
    let cases = [
        ("SELECT temp FROM homes ORDER BY temp", "ORDER BY needs all rows"),
        ("SELECT temp FROM homes LIMIT 5", "LIMIT would end"),
        ("SELECT DISTINCT device FROM homes", "DISTINCT would have to remember"),
        (
            "SELECT device, count(*) FROM homes GROUP BY device",
            "never ends without a window; hint: FROM TUMBLE(",
        ),
        ("SELECT count(*) FROM homes", "never ends without a window"),
        (
            "SELECT a.temp FROM homes a JOIN homes b ON a.device = b.device",
            "a join of two streams would have to remember their rows for ever",
        ),
        ("SELECT temp FROM homes UNION SELECT temp FROM homes", "DISTINCT would have to remember"),
        (
            "SELECT avg(temp) OVER (PARTITION BY device) FROM homes",
            "OVER looks back along the event time of a stream",
        ),
        (
            "SELECT temp FROM homes WHERE ts > now() - INTERVAL '1' HOUR",
            "now() depends on when it runs; hint:",
        ),
        ("SELECT current_date FROM homes", "depends on when it runs"),
        ("SELECT random() FROM homes", "random() gives another value each time"),
        ("SELECT temp FROM homes WHERE n IN (SELECT n FROM homes)", "a subquery inside an expression"),
        ("SELECT 1", "a pipeline reads a stream"),
        ("SELECT temp FROM home", "stream `home` does not exist; hint: did you mean `homes`?"),
        ("SELECT temperature FROM homes", "temperature"),
        ("SELECT * FROM TUMBLE(homes, temp, INTERVAL '1' MINUTE)", "`homes.temp` is not a timestamp"),
        (
            "SELECT * FROM TUMBLE(homes, _received, INTERVAL '1' MINUTE)",
            "is not the event time of the stream",
        ),
        ("SELECT * FROM TUMBLE(homes, ts, INTERVAL '1' MONTH)", "months have no fixed length"),
        ("SELECT * FROM TUMBLE(homes, ts, INTERVAL '0' SECOND)", "must be above zero"),
        ("SELECT * FROM TUMBLE(homes, ts)", "three arguments are expected; hint: TUMBLE(stream, ts,"),
        ("SELECT * FROM TUMBLE(nothing, ts, INTERVAL '1' MINUTE)", "stream `nothing` does not exist"),
        ("SELECT temp AS ts FROM homes", "`ts` must be a TIMESTAMP; hint: give the column another name"),
        (
            "SELECT avg(c) FROM (SELECT window_start, count(*) AS c FROM TUMBLE(homes, ts, INTERVAL '1' MINUTE) GROUP BY 1) GROUP BY window_start",
            "an aggregation of an aggregation",
        ),
    ];
    for (sql, expected) in cases {
        let error = refused(sql);
        assert!(error.contains(expected), "{sql}\n  got      {error}\n  expected {expected}");
    }
    let error = refused(&format!("SELECT device, count(*) FROM {tumble} GROUP BY device"));
    assert!(error.contains("names neither window_start nor window_end"), "{error}");
    let error = refused(&format!("SELECT device FROM {tumble} GROUP BY ROLLUP(window_start, device)"));
    assert!(error.contains("GROUPING SETS"), "{error}");
}

#[test]
fn errors_stand_where_the_person_wrote_them() {
    let select = Select {
        text: "SELECT nothing FROM homes".into(),
        at: Position { line: 3, column: 5 },
        ..Select::bare("")
    };
    let error = plan(&select, &catalog()).unwrap_err();
    assert_eq!(error.at, Some(Position { line: 3, column: 12 }), "{error}");
    let error = plan(&Select { text: "SELECT ) FROM homes".into(), ..select }, &catalog()).unwrap_err();
    assert_eq!(error.at.map(|at| at.line), Some(3), "{error}");
}

#[test]
fn the_watermark_of_matches_waits_for_those_that_are_decided_late() {
    let delay = |skip: &str, pattern: &str| {
        let text = format!(
            "SELECT n FROM homes MATCH_RECOGNIZE (ORDER BY ts MEASURES a.n AS n {skip} PATTERN ({pattern}) DEFINE a AS n > 1, b AS n < 1)"
        );
        let crate::statement::Statement::Query(text) = crate::statement::parse_one(&text).unwrap() else {
            panic!()
        };
        planned(&text).output_delay_us
    };
    let within = ") WITHIN INTERVAL '1' MINUTE DEFINE a AS n > 1, b AS n < 1) --";
    assert_eq!(delay("", &format!("a b* ${within}")), 0);
    assert_eq!(delay("", &format!("a b{within}")), 60_000_000);
    assert_eq!(delay("AFTER MATCH SKIP TO NEXT ROW", &format!("a b{within}")), 0);
    assert_eq!(delay("AFTER MATCH SKIP TO NEXT ROW", &format!("a b+{within}")), 60_000_000);
    // Nothing bounds it: as far as the stream's own.
    assert_eq!(delay("", "a b+"), 5_000_000);
}

#[test]
fn lateness_belongs_to_windows() {
    let select = Select { allowed_lateness_us: 1, ..Select::bare("SELECT temp FROM homes") };
    assert!(plan(&select, &catalog()).unwrap_err().to_string().contains("ALLOWED LATENESS has no meaning"));
}

#[test]
fn a_text_too_deep_to_be_planned_is_refused_and_the_deepest_allowed_one_is_planned() {
    let conditions = |count: usize| {
        // Different ones, which the optimizer cannot fold into one.
        let conditions: Vec<String> = (0..count).map(|number| format!("n = {number}")).collect();
        format!("SELECT ts, n FROM homes WHERE {}", conditions.join(" OR "))
    };
    assert!(refused(&conditions(50_000)).contains("at most 400"), "{}", refused(&conditions(50_000)));
    assert!(
        refused(&format!("SELECT {}n{} AS n FROM homes", "(".repeat(500), ")".repeat(500)))
            .contains("at most 400")
    );
    // As large as the stacks of the hub's threads.
    let planning =
        std::thread::Builder::new().stack_size(16 << 20).spawn(move || columns(&conditions(195))).unwrap();
    assert!(planning.join().unwrap().iter().any(|(name, _)| name == "n"));
}
