//! `CREATE TABLE`: what a reference table holds, what tells its rows apart, and where they come from.
//!
//! ```text
//! CREATE TABLE [IF NOT EXISTS] rooms (device TEXT, room TEXT [UNIT …], …, PRIMARY KEY (device [, …]) [, VALID FROM column])
//!     [FROM 'rooms.csv' [FORMAT csv | ndjson | parquet]] [REFRESH EVERY INTERVAL '5' MINUTE] [AS SELECT …]
//! ```

use std::fmt;

use springhouse_model::{StreamName, ValueType};
use springhouse_schema::{FIELDS_MAX, is_property_name};
use sqlparser::tokenizer::Token;

use super::Column;
use super::create::{column_type, unit};
use super::cursor::{Cursor, Mark, ParseError};
use super::interval::interval;

/// A source is not asked more often than this: each answer that differs is kept as a version.
const REFRESH_MIN_US: i64 = 10_000_000;

/// Data beside the streams that pipelines look up.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    pub name: StreamName,
    pub if_not_exists: bool,
    /// All of them, in the order in which they were written. Those of the key are required.
    pub columns: Vec<Column>,
    /// The columns that tell rows apart, by their places.
    pub key: Vec<usize>,
    /// The column that says since when a row holds, by its place.
    pub valid_from: Option<usize>,
    pub source: RowSource,
    /// How often the source is asked again.
    pub refresh_us: Option<i64>,
    /// The statement as written.
    pub text: String,
}

/// Where the rows of a table come from.
#[derive(Clone, Debug, PartialEq)]
pub enum RowSource {
    /// Whoever may write sends them.
    Given,
    /// A file or an address.
    Place { place: String, format: RowFormat },
    /// A query over history, behind blanks that keep its place in what was written.
    Query(String),
}

/// How rows are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    Csv,
    /// An object in each line, or an array of them.
    Ndjson,
    Parquet,
}

impl RowFormat {
    pub const fn as_str(self) -> &'static str {
        match self {
            RowFormat::Csv => "csv",
            RowFormat::Ndjson => "ndjson",
            RowFormat::Parquet => "parquet",
        }
    }

    /// By the end of a file's name.
    pub fn of_name(name: &str) -> Option<RowFormat> {
        RowFormat::named(name.rsplit_once('.')?.1)
    }

    pub fn named(name: &str) -> Option<RowFormat> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Some(RowFormat::Csv),
            "ndjson" | "jsonl" | "json" => Some(RowFormat::Ndjson),
            "parquet" => Some(RowFormat::Parquet),
            _ => None,
        }
    }
}

impl fmt::Display for RowFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands between the parentheses.
struct Body {
    columns: Vec<Column>,
    key: Vec<usize>,
    valid_from: Option<usize>,
}

/// Reads what follows `CREATE TABLE`.
pub(super) fn table(cursor: &mut Cursor<'_>, start: Mark) -> Result<CreateTable, ParseError> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"])?;
    let name = cursor.stream_name("the table's name")?;
    let Body { columns, key, valid_from } = body(cursor)?;
    let place = if cursor.take_word("FROM") { Some(place(cursor)?) } else { None };
    let refresh = cursor.mark();
    let refresh_us = if cursor.take_words(&["REFRESH", "EVERY"])? { Some(every(cursor)?) } else { None };
    let source = match (place, cursor.take_word("AS")) {
        (Some(source), false) => source,
        (None, true) if cursor.is_query_start() => {
            let (text, at) = cursor.rest_of_statement()?;
            RowSource::Query(at.place(&text))
        }
        (None, true) => return Err(cursor.expected("SELECT", None)),
        (Some(_), true) => return Err(cursor.expected("the end", Some("a table has one source, FROM or AS"))),
        (None, false) if refresh_us.is_some() => {
            let hint = "FROM 'file.csv' before it, or AS SELECT … behind it, says what is read again";
            return Err(cursor.error_at(refresh, "a source", "REFRESH without one", Some(hint.to_owned())));
        }
        (None, false) => RowSource::Given,
    };
    let text = cursor.text_since(start);
    Ok(CreateTable { name, if_not_exists, columns, key, valid_from, source, refresh_us, text })
}

fn body(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.expect_token(Token::LParen, "`(` and the columns")?;
    let mut columns: Vec<Column> = Vec::new();
    let mut key: Option<Vec<(Mark, String)>> = None;
    let mut valid_from: Option<(Mark, String)> = None;
    while !cursor.take_token(&Token::RParen) {
        let at = cursor.mark();
        if cursor.are_next(&["PRIMARY", "KEY"]) {
            cursor.take_words(&["PRIMARY", "KEY"])?;
            if key.replace(key_names(cursor)?).is_some() {
                return Err(cursor.error_at(at, "one PRIMARY KEY", "a second one", None));
            }
        } else if cursor.are_next(&["VALID", "FROM"]) {
            cursor.take_words(&["VALID", "FROM"])?;
            let named = (cursor.mark(), cursor.identifier("a column's name")?);
            if valid_from.replace(named).is_some() {
                return Err(cursor.error_at(at, "one VALID FROM", "a second one", None));
            }
        } else {
            let column = column(cursor)?;
            if columns.iter().any(|earlier| earlier.name == column.name) {
                return Err(cursor.error_at(at, "another column", format!("`{}` again", column.name), None));
            }
            if columns.len() >= FIELDS_MAX {
                return Err(cursor.error_at(
                    at,
                    format!("at most {FIELDS_MAX} columns"),
                    "another one",
                    None,
                ));
            }
            columns.push(column);
        }
        if !cursor.take_token(&Token::Comma) && cursor.peek() != Some(&Token::RParen) {
            return Err(cursor.expected("`,` or `)`", None));
        }
    }
    let Some(key) = key else {
        let hint = "rows are looked up by it: (device TEXT, room TEXT, PRIMARY KEY (device))";
        return Err(cursor.expected("PRIMARY KEY (…) among the columns", Some(hint)));
    };
    let place = |(at, name): &(Mark, String)| {
        let found = columns.iter().position(|column| column.name == *name);
        found.ok_or_else(|| cursor.error_at(*at, "a column of the table", format!("`{name}`"), None))
    };
    let key_places = key.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    for (number, column) in key_places.iter().enumerate() {
        if key_places[..number].contains(column) {
            return Err(cursor.error_at(key[number].0, "another column", "the same again", None));
        }
    }
    let since = valid_from.as_ref().map(place).transpose()?;
    if let (Some(since), Some((at, name))) = (since, &valid_from) {
        if columns[since].ty != ValueType::Time || key_places.contains(&since) {
            let expected = "a column of type TIMESTAMP that is not part of the key";
            return Err(cursor.error_at(*at, expected, format!("`{name}`"), None));
        }
        columns[since].required = true;
    }
    key_places.iter().for_each(|column| columns[*column].required = true);
    Ok(Body { columns, key: key_places, valid_from: since })
}

fn key_names(cursor: &mut Cursor<'_>) -> Result<Vec<(Mark, String)>, ParseError> {
    cursor.expect_token(Token::LParen, "`(` and the columns of the key")?;
    let mut names = Vec::new();
    loop {
        names.push((cursor.mark(), cursor.identifier("a column's name")?));
        if cursor.take_token(&Token::RParen) {
            return Ok(names);
        }
        cursor.expect_token(Token::Comma, "`,` or `)`")?;
    }
}

fn column(cursor: &mut Cursor<'_>) -> Result<Column, ParseError> {
    let at = cursor.mark();
    let name = cursor.identifier("a column's name")?;
    if name == "ts" || name.starts_with('_') || !is_property_name(&name) {
        let hint = match name.as_str() {
            "ts" => {
                "`ts` is the time of a row of a stream; since when a row of a table holds is VALID FROM another column"
            }
            _ => "a name has 1 to 128 bytes without control characters and does not begin with `_`",
        };
        return Err(cursor.error_at(at, "a column's name", format!("`{name}`"), Some(hint.to_owned())));
    }
    let ty = column_type(cursor)?;
    let required = cursor.take_words(&["NOT", "NULL"])?;
    if !required {
        cursor.take_word("NULL");
    }
    Ok(Column { name, ty, required, unit: unit(cursor)? })
}

/// `'rooms.csv' [FORMAT csv]`.
fn place(cursor: &mut Cursor<'_>) -> Result<RowSource, ParseError> {
    const FORMATS: &str = "csv, json, ndjson or parquet";
    let at = cursor.mark();
    let Some(Token::SingleQuotedString(place)) = cursor.peek().cloned() else {
        return Err(cursor.expected("a quoted file name such as 'rooms.csv'", None));
    };
    cursor.take();
    if cursor.take_word("FORMAT") {
        let at = cursor.mark();
        let name = cursor.identifier(FORMATS)?;
        let format = RowFormat::named(&name);
        let format = format.ok_or_else(|| cursor.error_at(at, FORMATS, format!("`{name}`"), None))?;
        return Ok(RowSource::Place { place, format });
    }
    // What follows `?` or `#` in an address is not its name.
    match RowFormat::of_name(place.split(['?', '#']).next().unwrap_or_default()) {
        Some(format) => Ok(RowSource::Place { place, format }),
        None => {
            // What follows `?` may be a key.
            let shown = place.split('?').next().unwrap_or_default();
            let hint = Some(format!("FROM '{shown}' FORMAT csv"));
            Err(cursor.error_at(at, "a name that ends in .csv, .ndjson or .parquet", "another end", hint))
        }
    }
}

fn every(cursor: &mut Cursor<'_>) -> Result<i64, ParseError> {
    let at = cursor.mark();
    let micros = interval(cursor)?;
    match micros >= REFRESH_MIN_US {
        true => Ok(micros),
        false => Err(cursor.error_at(at, "10 seconds or more", "less", None)),
    }
}
