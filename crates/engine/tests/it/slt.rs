//! The golden files in `tests/slt`: the language, row by row.
//!
//! A file is a sequence of blocks, separated by blank lines; `#` begins a comment.
//! ```text
//! statement                 query                        refused
//! CREATE STREAM …           SELECT …                     SELECT …
//!                           ----                         ----
//! input homes               {"a":1}                      a part of the reason
//! {"ts":…}                  ---- pipeline.late
//!                           {"b":2}
//! ```
//! Statements and input add up; a query runs over all that stands above it.

use std::fs;
use std::path::Path;

use crate::case::{self, Lines, RESULT};

/// Statements and input so far.
#[derive(Default)]
pub struct Session {
    statements: String,
    input: Lines,
    pub queries: usize,
}

impl Session {
    pub fn statement(&mut self, sql: &str) {
        self.statements.push_str(sql.trim_end().trim_end_matches(';'));
        self.statements.push_str(";\n");
    }

    pub fn input(&mut self, stream: &str, lines: &[&str]) {
        let lines = lines.iter().map(|line| (*line).to_owned());
        self.input.entry(stream.to_owned()).or_default().extend(lines);
    }

    pub fn query(&mut self, place: &str, sql: &str, expected: &Lines) {
        case::check(place, &format!("{}{sql}", self.statements), &self.input, expected);
        self.queries += 1;
    }

    pub fn refused(&mut self, place: &str, sql: &str, reason: &str) {
        let ran = case::by_files(&format!("{}{sql}", self.statements), &self.input, &[RESULT]);
        let error = ran.expect_err(place);
        assert!(error.contains(reason), "{place}\nfound    {error}\nexpected {reason}");
        self.queries += 1;
    }

    fn block(&mut self, place: &str, head: &str, body: &[&str]) {
        match head.split_once(' ').unwrap_or((head, "")) {
            ("statement", "") => self.statement(&body.join("\n")),
            ("input", stream) if !stream.is_empty() => self.input(stream, body),
            ("query", "") => {
                let (sql, expected) = sections(place, body);
                self.query(place, &sql, &expected);
            }
            ("refused", "") => {
                let (sql, expected) = sections(place, body);
                self.refused(place, &sql, &expected[RESULT].join("\n"));
            }
            _ => panic!("{place}: `{head}` begins no block"),
        }
    }
}

/// The SQL and what follows each `----`.
fn sections(place: &str, body: &[&str]) -> (String, Lines) {
    let mut sql = Vec::new();
    let mut expected = Lines::new();
    let mut current: Option<&str> = None;
    for line in body {
        match (line.strip_prefix("----"), current) {
            (Some(stream), _) => {
                current = Some(stream.trim());
                expected.insert(stream.trim().to_owned(), Vec::new());
            }
            (None, Some(stream)) => expected.get_mut(stream).unwrap().push((*line).to_owned()),
            (None, None) => sql.push(*line),
        }
    }
    assert!(!expected.is_empty(), "{place}: `----` is missing");
    (sql.join("\n"), expected)
}

fn run(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut session = Session::default();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() || lines[at].starts_with('#') {
            at += 1;
            continue;
        }
        let end = (at..lines.len()).find(|line| lines[*line].is_empty()).unwrap_or(lines.len());
        let place = format!("{}:{}", path.file_name().unwrap().display(), at + 1);
        session.block(&place, lines[at], &lines[at + 1..end]);
        at = end;
    }
    session.queries
}

#[test]
fn the_golden_files_hold_in_every_way_to_run_them() {
    let dir = Path::new("tests/slt");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let queries: usize = files.iter().map(|path| run(path)).sum();
    assert!(queries > 40, "{queries} queries in {}", dir.display());
}
