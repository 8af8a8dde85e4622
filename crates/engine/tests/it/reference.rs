//! `docs/reference/functions.md` is written from what the functions say of themselves, with an example of each that gives what
//! stands beside it. `make docs` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Documentation, Volatility};
use serde_json::{Value, json};
use springhouse_engine::with_functions;

use crate::case::{Lines, RESULT, check};

const PAGE: &str = "../../docs/reference/functions.md";

const STREAM: &str = "CREATE STREAM readings (n BIGINT, x DOUBLE, y DOUBLE, \"on\" BOOLEAN, word TEXT);";
const ROWS: [&str; 4] = [
    r#"{"ts":"2026-01-01T10:07:30Z","device":"a","site":"home","n":1,"x":1,"y":2,"on":true,"word":"a"}"#,
    r#"{"ts":"2026-01-01T10:07:40Z","device":"a","site":"home","n":2,"x":2,"y":4,"on":false,"word":"b"}"#,
    r#"{"ts":"2026-01-01T10:07:50Z","device":"a","site":"home","n":4,"x":4,"y":8,"on":true,"word":"a"}"#,
    r#"{"ts":"2026-01-01T10:08:00Z","device":"a","site":"home","n":3,"x":3,"y":6,"on":true,"word":"c"}"#,
];

/// Functions for values that a stream cannot hold, by the beginning of their names, and those of the planner.
const LEFT_OUT: [&str; 22] = [
    "array",
    "arrow",
    "cast_to_type",
    "file_row_index",
    "flatten",
    "get_field",
    "grouping",
    "input_file_name",
    "list",
    "make_array",
    "map",
    "named_struct",
    "range",
    "regexp_match",
    "row",
    "string_to_array",
    "struct",
    "to_local_time",
    "try_cast_to_type",
    "union",
    "version",
    "with_metadata",
];

struct Example {
    call: &'static str,
    gives: Value,
}

/// Of functions of one row, and of those of many.
fn examples() -> [Vec<Example>; 2] {
    let example = |line: &'static str| {
        let (call, gives) = line.rsplit_once(" = ").unwrap();
        Example { call, gives: serde_json::from_str(gives).unwrap_or_else(|error| panic!("{line}: {error}")) }
    };
    let (rows, groups) = include_str!("../functions.txt").split_once("\n\n").unwrap();
    [rows, groups].map(|lines| lines.lines().map(example).collect())
}

/// What a function says of itself.
struct Told {
    name: String,
    aliases: Vec<String>,
    documentation: Documentation,
    is_constant: bool,
}

/// By section, then by name.
fn told() -> BTreeMap<&'static str, BTreeMap<String, Told>> {
    let state = with_functions(SessionContext::new().state());
    let scalars = state.scalar_functions().values().map(|function| {
        (function.name(), function.aliases(), function.documentation(), function.signature().volatility)
    });
    let aggregates = state.aggregate_functions().values().map(|function| {
        (function.name(), function.aliases(), function.documentation(), function.signature().volatility)
    });
    let mut sections: BTreeMap<&'static str, BTreeMap<String, Told>> = BTreeMap::new();
    for (name, aliases, documentation, volatility) in scalars.chain(aggregates) {
        if LEFT_OUT.iter().any(|begin| name.starts_with(begin)) {
            continue;
        }
        let documentation =
            documentation.unwrap_or_else(|| panic!("`{name}` says nothing of itself")).clone();
        let is_constant = volatility == Volatility::Immutable;
        let told = Told { name: name.to_owned(), aliases: aliases.to_vec(), documentation, is_constant };
        sections.entry(told.documentation.doc_section.label).or_default().insert(name.to_owned(), told);
    }
    sections
}

/// The function that an example is of: the first that is called, but for what makes its value easy to read.
fn is_of(example: &Example, name: &str) -> bool {
    let calls = example.call.split_inclusive('(').filter_map(|part| {
        let part = part.strip_suffix('(')?;
        let begin = part.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        Some(&part[begin..]).filter(|name| !name.is_empty())
    });
    let calls: Vec<&str> = calls.collect();
    let of = match calls.as_slice() {
        ["round" | "CAST", inner, ..] if !matches!(*inner, "CAST") => inner,
        [first, ..] => first,
        [] => return false,
    };
    *of == name
}

fn page() -> String {
    let examples = examples();
    let mut missing = Vec::new();
    let mut page = String::from(HEAD);
    for row in ROWS {
        page.push_str(row);
        page.push('\n');
    }
    page.push_str("```\n");
    for (section, functions) in told() {
        let _ = write!(page, "\n## {section}\n\n| function | | example | gives |\n|---|---|---|---|\n");
        for told in functions.values() {
            let example = examples.iter().flatten().find(|example| is_of(example, &told.name));
            let (call, gives) = match example {
                Some(Example { call, gives }) => (format!("`{call}`"), format!("`{gives}`")),
                None if !told.is_constant => ("not in pipelines".to_owned(), String::new()),
                None => {
                    missing.push(told.name.as_str().to_owned());
                    continue;
                }
            };
            let syntax = told.documentation.syntax_example.replace('\n', " ");
            let cell = |text: &str| text.replace('|', "\\|");
            let row = [format!("`{syntax}`"), says(told), call, gives].map(|text| cell(&text));
            let _ = writeln!(page, "| {} |", row.join(" | "));
        }
    }
    assert!(missing.is_empty(), "without example in tests/functions.txt: {missing:?}");
    page
}

/// The first paragraph, and the other names.
fn says(told: &Told) -> String {
    let paragraph = told.documentation.description.trim().split("\n\n").next().unwrap_or_default();
    let mut text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    if !told.aliases.is_empty() {
        let aliases: Vec<String> = told.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = write!(text, " Also {}.", aliases.join(", "));
    }
    text
}

const HEAD: &str = "# Functions

What the functions of the language say of themselves; this page is written by `make docs`, and a test gives each example to the engine. [SQL](../sql.md#functions) tells of
conditions and operators, of what has no value, and of windows. Aggregates take `DISTINCT`, `FILTER (WHERE …)` and `ORDER BY` as there; functions whose value depends on the moment are for queries over history.

The examples of functions of one row are computed for the first of these rows, those of aggregates for all of them:

```json
";

#[test]
fn the_page_is_what_the_functions_say() {
    let page = page();
    if std::env::var_os("SPRINGHOUSE_WRITE_DOCS").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    assert!(fs::read_to_string(PAGE).unwrap() == page, "docs/reference/functions.md is old; hint: make docs");
}

#[test]
fn each_example_is_of_a_function() {
    let told = told();
    for example in examples().iter().flatten() {
        let known = told.values().flat_map(BTreeMap::keys).any(|name| is_of(example, name));
        assert!(known, "{}", example.call);
    }
}

#[test]
fn the_examples_give_what_stands_beside_them() {
    let [rows, groups] = examples();
    let input = Lines::from([("readings".to_owned(), ROWS.map(str::to_owned).to_vec())]);
    let queries = [
        (rows, "FROM readings WHERE n = 1"),
        (groups, "FROM TUMBLE(readings, ts, INTERVAL '1' HOUR) GROUP BY window_start"),
    ];
    for (examples, from) in queries {
        let columns: Vec<String> =
            examples.iter().zip(0..).map(|(one, at)| format!("{} AS c{at}", one.call)).collect();
        let expected: serde_json::Map<String, Value> =
            examples.iter().zip(0..).map(|(one, at)| (format!("c{at}"), one.gives.clone())).collect();
        let sql = format!("{STREAM} SELECT {} {from}", columns.join(", "));
        let expected = Lines::from([(RESULT.to_owned(), vec![json!(expected).to_string()])]);
        check("functions.txt", &sql, &input, &expected);
    }
}
