//! `CREATE ALERT`: what its rows are about, and when it is over.

use springhouse_model::{Severity, StreamName};
use sqlparser::tokenizer::Token;

use super::create::select;
use super::cursor::{Cursor, Mark, ParseError};
use super::interval::interval;
use super::{Position, Select};

/// `CREATE [OR REPLACE] ALERT name [SEVERITY warning] [KEY (column, …)] [RESOLVE WHEN …] [RESOLVE AFTER INTERVAL …]
/// [ALLOWED LATENESS …] AS SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateAlert {
    pub name: StreamName,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub severity: Severity,
    pub select: Select,
    /// The statement as written.
    pub text: String,
}

/// What the rows of an alert are about and what ends it. With an end it has episodes: its rows are their beginnings
/// and ends instead of all that fires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firing {
    /// Columns of the SELECT; none when nothing was said.
    pub key: Vec<KeyColumn>,
    pub resolve_when: Option<Condition>,
    pub resolve_after_us: Option<i64>,
}

impl Firing {
    pub fn has_episodes(&self) -> bool {
        self.resolve_when.is_some() || self.resolve_after_us.is_some()
    }
}

/// A column of `KEY (…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    pub name: String,
    pub at: Position,
}

/// What stands behind `RESOLVE WHEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub text: String,
    pub at: Position,
}

/// Reads what follows `ALERT`.
pub(super) fn alert(
    cursor: &mut Cursor<'_>,
    start: Mark,
    or_replace: bool,
) -> Result<CreateAlert, ParseError> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"])?;
    let name = cursor.stream_name("the alert's name")?;
    let severity = severity(cursor)?;
    let mut firing = Firing { key: key(cursor)?, ..Firing::default() };
    while cursor.is_at_words(&["RESOLVE"]) {
        resolve(cursor, &mut firing)?;
    }
    let at = cursor.mark();
    let select = Select { firing, ..select(cursor)? };
    if select.emit_every_us.is_some() {
        let hint = "a pipeline with EMIT EVERY, and an alert on its stream WHERE diff = 1".to_owned();
        return Err(cursor.error_at(at, "an alert on final results", "EMIT EVERY", Some(hint)));
    }
    let text = cursor.text_since(start);
    Ok(CreateAlert { name, or_replace, if_not_exists, severity, select, text })
}

/// `SEVERITY critical`; a warning when nothing is said.
fn severity(cursor: &mut Cursor<'_>) -> Result<Severity, ParseError> {
    const EXPECTED: &str = "info, warning or critical";
    if !cursor.take_word("SEVERITY") {
        return Ok(Severity::Warning);
    }
    let at = cursor.mark();
    match cursor.take() {
        Some(Token::Word(word)) => {
            word.value.parse().map_err(|_| cursor.error_at(at, EXPECTED, format!("`{}`", word.value), None))
        }
        _ => Err(cursor.error_at(at, EXPECTED, "something else", None)),
    }
}

/// `KEY (device, room)` or nothing.
fn key(cursor: &mut Cursor<'_>) -> Result<Vec<KeyColumn>, ParseError> {
    if !cursor.take_word("KEY") {
        return Ok(Vec::new());
    }
    cursor.expect_token(Token::LParen, "`(` and the columns that tell what a row is about")?;
    let mut columns = Vec::new();
    loop {
        let at = cursor.position(cursor.mark());
        columns.push(KeyColumn { name: cursor.identifier("a column's name")?, at });
        if cursor.take_token(&Token::RParen) {
            return Ok(columns);
        }
        cursor.expect_token(Token::Comma, "`,` or `)`")?;
    }
}

/// `RESOLVE WHEN condition` or `RESOLVE AFTER INTERVAL …`, each once.
fn resolve(cursor: &mut Cursor<'_>, firing: &mut Firing) -> Result<(), ParseError> {
    let start = cursor.mark();
    cursor.expect_word("RESOLVE")?;
    if cursor.take_word("WHEN") {
        let (text, at) = cursor.expression_until("a condition", ends_condition)?;
        if firing.resolve_when.replace(Condition { text, at }).is_some() {
            let hint = "put both into one, with OR between them".to_owned();
            return Err(cursor.error_at(start, "one RESOLVE WHEN", "a second one", Some(hint)));
        }
        return Ok(());
    }
    if !cursor.take_word("AFTER") {
        let hint = "RESOLVE WHEN temperature < 24, RESOLVE AFTER INTERVAL '10' MINUTE";
        return Err(cursor.expected("WHEN or AFTER", Some(hint)));
    }
    let at = cursor.mark();
    let after_us = interval(cursor)?;
    if after_us <= 0 {
        return Err(cursor.error_at(at, "a length of time", "none", None));
    }
    if firing.resolve_after_us.replace(after_us).is_some() {
        return Err(cursor.error_at(start, "one RESOLVE AFTER", "a second one", None));
    }
    Ok(())
}

/// Whether a clause begins that stands behind a condition.
fn ends_condition(cursor: &Cursor<'_>) -> bool {
    [&["AS"][..], &["RESOLVE", "AFTER"], &["RESOLVE", "WHEN"], &["ALLOWED", "LATENESS"], &["EMIT"]]
        .into_iter()
        .any(|words| cursor.is_at_words(words))
}
