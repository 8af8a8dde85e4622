//! `docs/sql.md` and the cookbook tell the truth: their examples give the rows that stand beside them, functions exist.

use std::fs;

use datafusion::execution::context::SessionContext;
use springhouse_engine::statement::{self, RowSource, Statement};
use springhouse_engine::with_functions;

use crate::case::Lines;
use crate::slt::Session;

/// A fenced block: what stands behind the fence, and its lines.
struct Block<'a> {
    line: usize,
    info: &'a str,
    body: Vec<&'a str>,
}

fn manual() -> String {
    fs::read_to_string("../../docs/sql.md").unwrap()
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push(Block { line: at + 1, info, body });
        }
    }
    blocks
}

/// `sql` followed by `json out` is a query, by `text refused` one that is refused; alone it declares streams for what
/// follows, or shows statements for a hub, which must at least be readable.
fn checked_examples(file: &str, text: &str) -> usize {
    let blocks = blocks(text);
    let mut session = Session::default();
    for (at, block) in blocks.iter().enumerate() {
        let place = format!("{file}:{}", block.line);
        match block.info.split_once(' ').unwrap_or((block.info, "")) {
            ("json" | "csv", info) if info.starts_with("in ") => session.input(&info[3..], &block.body),
            ("sql", "") => {
                let sql = block.body.join("\n");
                let results = blocks[at + 1..].iter().take_while(|next| next.info.starts_with("json out"));
                let expected: Lines = results
                    .map(|next| {
                        let stream = next.info["json out".len()..].trim();
                        (stream.to_owned(), next.body.iter().map(|line| (*line).to_owned()).collect())
                    })
                    .collect();
                let refusal = blocks.get(at + 1).filter(|next| next.info == "text refused");
                match (refusal, expected.is_empty()) {
                    (Some(reason), _) => session.refused(&place, &sql, &reason.body.join(" ")),
                    (None, false) => session.query(&place, &sql, &expected),
                    (None, true) => shown(&mut session, &place, &sql),
                }
            }
            _ => {}
        }
    }
    session.queries
}

#[test]
fn examples_of_the_manual_give_the_rows_beside_them() {
    let examples = checked_examples("sql.md", &manual());
    assert!(examples > 6, "{examples} examples");
}

#[test]
fn answers_of_the_cookbook_give_the_rows_beside_them() {
    let text = fs::read_to_string("../../docs/guides/cookbook.md").unwrap();
    let questions = text.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(checked_examples("cookbook.md", &text), questions);
    assert!(questions > 20, "{questions} questions");
}

fn shown(session: &mut Session, place: &str, sql: &str) {
    let statements = statement::parse(sql).unwrap_or_else(|error| panic!("{place}: {error}"));
    let declares = |statement: &Statement| match statement {
        Statement::CreateStream(_) | Statement::CreateFunction(_) => true,
        // Others are filled by a hub.
        Statement::CreateTable(table) => {
            matches!(&table.source, RowSource::Place { place, .. } if is_relative(place))
        }
        _ => false,
    };
    if statements.iter().all(declares) {
        session.statement(sql);
    }
}

/// A file beside the statements.
fn is_relative(place: &str) -> bool {
    !place.contains("://") && !place.starts_with('/')
}

#[test]
fn functions_of_the_manual_exist() {
    let text = manual();
    let (_, section) = text.split_once("## Functions").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let state = with_functions(SessionContext::new().state());
    let mut count = 0;
    for row in section.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        for call in row.split('`').skip(1).step_by(2) {
            let name = call.split('(').next().unwrap();
            let known = state.scalar_functions().contains_key(name)
                || state.aggregate_functions().contains_key(name)
                || state.window_functions().contains_key(name);
            assert!(known, "`{name}` is in the manual and not in the language");
            count += 1;
        }
    }
    assert!(count > 50, "{count} functions");
}
