use super::*;
use springhouse_meta::DEFAULT_IDLE_US;
use springhouse_model::Severity;

fn one(sql: &str) -> Statement {
    parse_one(sql).unwrap()
}

fn error(sql: &str) -> String {
    parse(sql).unwrap_err().to_string()
}

#[test]
fn streams_are_declared_with_columns_and_a_watermark() {
    let sql =
        "CREATE STREAM homes (ts TIMESTAMP(3), device TEXT, \"Power\" DOUBLE PRECISION NOT NULL UNIT 'kW',
        `status` VARCHAR(10), seq BIGINT NULL UNIT '%', WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE)";
    let Statement::CreateStream(stream) = one(sql) else { panic!() };
    assert_eq!(stream.name.as_str(), "homes");
    let columns: Vec<_> =
        stream.columns.iter().map(|c| (c.name.as_str(), c.ty, c.required, c.unit.as_deref())).collect();
    let expected = [
        ("Power", ValueType::Float, true, Some("kW")),
        ("status", ValueType::Text, false, None),
        ("seq", ValueType::Int, false, Some("%")),
    ];
    assert_eq!(columns, expected);
    assert_eq!((stream.watermark_delay_us, stream.idle_us), (Some(60_000_000), Some(DEFAULT_IDLE_US)));
    assert_eq!(stream.text, sql);
}

#[test]
fn a_watermark_says_when_silence_no_longer_holds_back_windows() {
    let idle = |end: &str| match one(&format!("CREATE STREAM s (a INT, WATERMARK FOR ts AS ts{end})")) {
        Statement::CreateStream(stream) => (stream.watermark_delay_us, stream.idle_us),
        other => panic!("{other:?}"),
    };
    assert_eq!(idle(" IDLE AFTER INTERVAL '5' SECOND"), (Some(0), Some(5_000_000)));
    assert_eq!(idle(" - INTERVAL '1' SECOND IDLE NEVER"), (Some(1_000_000), None));
    assert_eq!(idle(""), (Some(0), Some(DEFAULT_IDLE_US)));
}

#[test]
fn a_pipeline_keeps_its_query_and_where_it_stood() {
    let sql = "-- hourly\nCREATE OR REPLACE PIPELINE hourly INTO home.hourly\n  ALLOWED LATENESS INTERVAL '2 minutes' AS\n  SELECT device FROM homes;";
    let Statement::CreatePipeline(pipeline) = one(sql) else { panic!() };
    assert!(pipeline.or_replace);
    assert_eq!((pipeline.name.as_str(), pipeline.into.as_str()), ("hourly", "home.hourly"));
    assert_eq!(pipeline.select.text, "SELECT device FROM homes");
    assert_eq!(pipeline.select.at, Position { line: 4, column: 3 });
    assert_eq!(pipeline.select.allowed_lateness_us, 120_000_000);
}

#[test]
fn alerts_carry_a_severity() {
    let sql = "CREATE ALERT hot SEVERITY critical AS SELECT * FROM homes WHERE t > 90";
    let Statement::CreateAlert(alert) = one(sql) else { panic!() };
    assert_eq!(alert.severity, Severity::Critical);
    let Statement::CreateAlert(alert) = one("create alert hot as select 1 from s") else { panic!() };
    assert_eq!(alert.severity, Severity::Warning);
}

#[test]
fn alerts_say_what_they_are_about_and_when_they_are_over() {
    let sql =
        "CREATE ALERT hot SEVERITY info KEY (device, \"Room\") RESOLVE WHEN t < CAST('2' AS DOUBLE) OR (x)
        RESOLVE AFTER INTERVAL '10' MINUTE ALLOWED LATENESS INTERVAL '1' SECOND AS SELECT * FROM homes";
    let Statement::CreateAlert(alert) = one(sql) else { panic!() };
    let Select { firing, allowed_lateness_us, .. } = alert.select;
    let names: Vec<&str> = firing.key.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["device", "Room"]);
    let condition = firing.resolve_when.unwrap();
    assert_eq!(condition.text, "t < CAST('2' AS DOUBLE) OR (x)");
    assert_eq!(condition.at, Position { line: 1, column: 66 });
    assert_eq!((firing.resolve_after_us, allowed_lateness_us), (Some(600_000_000), 1_000_000));
    let Statement::CreateAlert(alert) = one("CREATE ALERT hot AS SELECT 1 FROM s") else { panic!() };
    assert_eq!(alert.select.firing, Firing::default());
}

#[test]
fn short_statements_are_known() {
    let name: StreamName = "a".parse().unwrap();
    assert_eq!(one("drop stream if exists a"), Statement::DropStream { name: name.clone(), if_exists: true });
    assert_eq!(one("PAUSE PIPELINE a"), Statement::PausePipeline { name: name.clone() });
    assert_eq!(one("RESUME PIPELINE a;"), Statement::ResumePipeline { name: name.clone() });
    assert_eq!(one("SHOW ALERTS"), Statement::ShowAlerts);
    assert_eq!(one("DESCRIBE a"), Statement::Describe { name: name.clone() });
    assert_eq!(one("EXPLAIN PIPELINE a"), Statement::Explain { name: name.clone() });
    assert_eq!(one("explain alert a"), Statement::Explain { name: name.clone() });
    assert_eq!(one("SHOW VERSIONS OF PIPELINE a"), Statement::ShowVersions { name: name.clone() });
    let rollback = |version| Statement::RollbackPipeline { name: name.clone(), version };
    assert_eq!(one("ROLLBACK ALERT a"), rollback(None));
    assert_eq!(one("rollback pipeline a to version 12;"), rollback(Some(12)));
    assert_eq!(one("EXPLAIN SELECT 1"), Statement::Query("EXPLAIN SELECT 1".to_owned()));
    assert_eq!(one("select 1;"), Statement::Query("select 1".into()));
}

#[test]
fn several_statements_are_separated_by_semicolons_also_inside_strings() {
    let statements = parse("select ';' ; -- nothing;\n show streams;;").unwrap();
    assert_eq!(statements, [Statement::Query("select ';'".into()), Statement::ShowStreams]);
}

#[test]
fn statements_are_split_where_they_stand() {
    let sql = "SHOW STREAMS; -- two\n CREATE ALERT a AS\nSELECT ';' FROM s;";
    let texts = split(sql).unwrap();
    assert_eq!(texts, ["SHOW STREAMS", "\n CREATE ALERT a AS\nSELECT ';' FROM s"]);
    assert!(split("SHOW STREAMS SHOW STREAMS").is_err());
}

#[test]
fn the_spelling_of_flink_is_rewritten_in_place() {
    let flink =
        "SELECT device FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY device";
    let Statement::Query(text) = one(flink) else { panic!() };
    let words: Vec<_> = text.split_whitespace().collect();
    let expected = "SELECT device FROM TUMBLE( src, ts , INTERVAL '10' SECOND) GROUP BY device";
    assert_eq!(words.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(text.find("GROUP"), flink.find("GROUP"));
    let nested = "SELECT * FROM TABLE(TUMBLE((SELECT * FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND))), DESCRIPTOR(ts), INTERVAL '10' SECOND))";
    let Statement::Query(text) = one(nested) else { panic!() };
    assert!(!text.contains("TABLE") && !text.contains("DESCRIPTOR"), "{text}");
}

#[test]
fn within_becomes_the_last_word_of_its_pattern_at_the_same_place() {
    let check = |sql: &str, expected: &str| {
        let Statement::Query(text) = one(sql) else { panic!("{sql}") };
        assert_eq!(text, expected);
        assert_eq!(text.chars().count(), sql.chars().count());
    };
    check(
        "SELECT * FROM s MATCH_RECOGNIZE (PATTERN (b) WITHIN INTERVAL '10' SECOND DEFINE b AS x)",
        "SELECT * FROM s MATCH_RECOGNIZE (PATTERN (b \"@10000000\")                 DEFINE b AS x)",
    );
    // Lines stay, wherever they begin; so does what only looks like it.
    check(
        "SELECT * FROM s MATCH_RECOGNIZE (\nPATTERN (b\n)WITHIN\nINTERVAL '1 s'DEFINE b AS within) AS within",
        "SELECT * FROM s MATCH_RECOGNIZE (\nPATTERN (b\n \"@1000\n000\")         DEFINE b AS within) AS within",
    );
    check(
        "SELECT * FROM s MATCH_RECOGNIZE (PATTERN (b) WITHIN INTERVAL '1' MONTH DEFINE b AS x)",
        "SELECT * FROM s MATCH_RECOGNIZE (PATTERN (b \"@\")                       DEFINE b AS x)",
    );
    check("SELECT within FROM pattern", "SELECT within FROM pattern");
}

/// The beginning of what is said of each statement.
fn refuses(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let error = error(sql);
        assert!(error.contains(expected), "{sql}\n  got      {error}\n  expected {expected}");
    }
}

#[test]
fn errors_name_the_place_what_was_expected_and_a_way_on() {
    refuses(&[
        (
            "CREATE STREAM s (\n  a WIBBLE)",
            "line 2, column 5: expected a type, found `WIBBLE`; hint: BOOLEAN",
        ),
        (
            "CREATE PIPELINE p AS SELECT 1",
            "line 1, column 19: expected INTO, found `AS`; hint: CREATE PIPELINE",
        ),
        ("DELETE FROM s", "line 1, column 1: expected a statement, found `DELETE`; hint: streams are filled"),
        ("CREATE STREAM S-1 (a INT)", "line 1, column 16: expected `(` and the columns, found `-`"),
        (
            "CREATE STREAM \"Sé\" (a INT)",
            "line 1, column 15: expected the stream's name, found `Sé`; hint: stream name",
        ),
        (
            "CREATE STREAM s (a DOUBLE UNIT W)",
            "line 1, column 32: expected a quoted unit such as 'W', found `W`",
        ),
        ("CREATE STREAM s (a DOUBLE UNIT '')", "line 1, column 32: expected a unit of 1 to 32 characters"),
        ("CREATE STREAM s (ts BIGINT)", "line 1, column 18: expected `ts TIMESTAMP`"),
        ("CREATE STREAM s (_id TEXT)", "line 1, column 18: expected a column's name, found `_id`"),
        (
            "CREATE STREAM s (\"\" INT)",
            "line 1, column 18: expected a name of 1 to 128 bytes without control characters, found \"\"",
        ),
        ("CREATE STREAM s (a INT, a INT)", "line 1, column 25: expected another column, found `a` again"),
        ("CREATE STREAM s (WATERMARK FOR t AS t)", "line 1, column 32: expected `ts`, found `t`"),
        (
            "CREATE STREAM s (WATERMARK FOR ts AS ts - INTERVAL '1' MONTH)",
            "line 1, column 52: expected a length",
        ),
        (
            "CREATE STREAM s (WATERMARK FOR ts AS ts IDLE SOON)",
            "line 1, column 46: expected AFTER or NEVER, found `SOON`; hint: IDLE AFTER INTERVAL",
        ),
        ("CREATE STREAM s (a INT", "line 1, column 23: expected `,` or `)`, found the end of the text"),
        ("CREATE ALERT a SEVERITY mild AS SELECT 1", "line 1, column 25: expected info, warning or critical"),
        ("SELECT 'abc", "line 1, column 8: expected SQL, found what cannot be read"),
        ("SHOW streams streams", "line 1, column 14: expected `;` or the end, found `streams`"),
        ("SELECT (1", "expected `)`, found the end of the text; hint: a parenthesis is not closed"),
        ("CREATE PIPELINE p INTO q AS DROP", "line 1, column 29: expected SELECT, found `DROP`"),
    ]);
}

#[test]
fn errors_of_alerts_name_what_is_missing() {
    refuses(&[
        (
            "CREATE ALERT a KEY device AS SELECT 1",
            "line 1, column 20: expected `(` and the columns that tell",
        ),
        ("CREATE ALERT a KEY () AS SELECT 1", "line 1, column 21: expected a column's name, found `)`"),
        (
            "CREATE ALERT a RESOLVE AS SELECT 1",
            "line 1, column 24: expected WHEN or AFTER, found `AS`; hint: RESOLVE",
        ),
        ("CREATE ALERT a RESOLVE WHEN AS SELECT 1", "line 1, column 29: expected a condition, found `AS`"),
        (
            "CREATE ALERT a RESOLVE WHEN x RESOLVE WHEN y AS SELECT 1",
            "line 1, column 31: expected one RESOLVE WHEN",
        ),
        (
            "CREATE ALERT a RESOLVE AFTER INTERVAL '0' SECOND AS SELECT 1",
            "expected a length of time, found none",
        ),
        ("CREATE ALERT a RESOLVE WHEN x", "line 1, column 30: expected AS, found the end"),
    ]);
}

#[test]
fn errors_of_tables_name_the_column() {
    refuses(&[
        (
            "CREATE TABLE t (a INT)",
            "line 1, column 23: expected PRIMARY KEY (…) among the columns, found the end of the text",
        ),
        (
            "CREATE TABLE t (a INT, PRIMARY KEY (b))",
            "line 1, column 37: expected a column of the table, found `b`",
        ),
        (
            "CREATE TABLE t (a INT, a TEXT, PRIMARY KEY (a))",
            "line 1, column 24: expected another column, found `a` again",
        ),
        (
            "CREATE TABLE t (a INT, PRIMARY KEY (a, a))",
            "line 1, column 40: expected another column, found the same again",
        ),
        (
            "CREATE TABLE t (ts TIMESTAMP, PRIMARY KEY (ts))",
            "line 1, column 17: expected a column's name, found `ts`",
        ),
        (
            "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a), VALID FROM b)",
            "line 1, column 59: expected a column of type TIMESTAMP that is not part of the key, found `b`",
        ),
        (
            "CREATE TABLE t (a INT, PRIMARY KEY (a)) FROM 'a.txt'",
            "line 1, column 46: expected a name that ends in .csv, .ndjson or .parquet, found another end",
        ),
        (
            "CREATE TABLE t (a INT, PRIMARY KEY (a)) REFRESH EVERY INTERVAL '1' HOUR",
            "line 1, column 41: expected a source, found REFRESH without one",
        ),
        (
            "CREATE TABLE t (a INT, PRIMARY KEY (a)) FROM 'a.csv' REFRESH EVERY INTERVAL '1' SECOND",
            "line 1, column 68: expected 10 seconds or more, found less",
        ),
    ]);
}

#[test]
fn lengths_of_time_are_read_with_their_units() {
    let check = |text: &str, micros: i64| assert_eq!(interval::parse_length(text), Ok(micros), "{text}");
    check("5 SECOND", 5_000_000);
    check("0.5 seconds", 500_000);
    check("1 hour 30 minutes", 5_400_000_000);
    check("250 milliseconds", 250_000);
    check("250 ms", 250_000);
    check("2 days", 172_800_000_000);
    for bad in ["", "5", "five seconds", "-5 seconds", "1 month", "nan seconds", "1e300 days", "3 wibbles"] {
        assert!(interval::parse_length(bad).is_err(), "{bad}");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    let pieces = [
        "CREATE",
        "STREAM",
        "(",
        ")",
        "a",
        "INT",
        ",",
        ";",
        "'",
        "\"",
        "\n",
        "é",
        "TABLE(",
        "TUMBLE(",
        "AS",
        "SELECT",
        "INTERVAL",
        "'5'",
        "MATCH_RECOGNIZE(",
        "PATTERN(",
        "WITHIN",
    ];
    let mut seed = 7_u64;
    for _ in 0..5_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            text.push(' ');
        }
        let _ = parse(&text);
    }
}
