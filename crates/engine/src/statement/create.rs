//! `CREATE STREAM`, `CREATE PIPELINE`, and which CREATE it is.

use springhouse_meta::DEFAULT_IDLE_US;
use springhouse_model::ValueType;
use springhouse_schema::{FIELDS_MAX, is_property_name};
use sqlparser::tokenizer::Token;

use super::cursor::{Cursor, Mark, ParseError};
use super::interval::interval;
use super::table::table;
use super::{Column, CreatePipeline, CreateStream, Firing, Select, Statement, alert, function};

const UNIT_CHARACTERS_MAX: usize = 32;

/// Reads what follows `CREATE`, which began at `start`.
pub(super) fn create(cursor: &mut Cursor<'_>, start: Mark) -> Result<Statement, ParseError> {
    let or_replace = cursor.take_words(&["OR", "REPLACE"])?;
    if cursor.take_word("STREAM") {
        if or_replace {
            let hint = "a stream grows by its schema; drop it first to begin anew";
            return Err(cursor.error_at(start, "CREATE STREAM", "`OR REPLACE`", Some(hint.to_owned())));
        }
        return stream(cursor, start).map(Statement::CreateStream);
    }
    if cursor.take_word("PIPELINE") {
        return pipeline(cursor, start, or_replace).map(Statement::CreatePipeline);
    }
    if cursor.take_word("ALERT") {
        return alert::alert(cursor, start, or_replace).map(Statement::CreateAlert);
    }
    if cursor.take_word("TABLE") {
        if or_replace {
            let hint = "its rows change with its source; drop it first to give it other columns";
            return Err(cursor.error_at(start, "CREATE TABLE", "`OR REPLACE`", Some(hint.to_owned())));
        }
        return table(cursor, start).map(Statement::CreateTable);
    }
    if cursor.take_word("FUNCTION") {
        return function::function(cursor, start, or_replace).map(Statement::CreateFunction);
    }
    Err(cursor.expected("STREAM, TABLE, FUNCTION, PIPELINE or ALERT", None))
}

fn stream(cursor: &mut Cursor<'_>, start: Mark) -> Result<CreateStream, ParseError> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"])?;
    let name = cursor.stream_name("the stream's name")?;
    cursor.expect_token(Token::LParen, "`(` and the columns")?;
    let mut columns: Vec<Column> = Vec::new();
    let mut watermark_delay_us = None;
    let mut idle_us = Some(DEFAULT_IDLE_US);
    while !cursor.take_token(&Token::RParen) {
        let at = cursor.mark();
        if cursor.take_words(&["WATERMARK", "FOR"])? {
            if watermark_delay_us.replace(watermark(cursor)?).is_some() {
                return Err(cursor.error_at(at, "one watermark", "a second one", None));
            }
            idle_us = idle(cursor)?;
        } else if let Some(column) = column(cursor)? {
            if columns.iter().any(|earlier| earlier.name == column.name) {
                return Err(cursor.error_at(at, "another column", format!("`{}` again", column.name), None));
            }
            if columns.len() >= FIELDS_MAX {
                let limit = format!("at most {FIELDS_MAX} columns");
                return Err(cursor.error_at(at, limit, "another one", None));
            }
            columns.push(column);
        }
        if !cursor.take_token(&Token::Comma) && cursor.peek() != Some(&Token::RParen) {
            return Err(cursor.expected("`,` or `)`", None));
        }
    }
    let text = cursor.text_since(start);
    Ok(CreateStream { name, if_not_exists, columns, watermark_delay_us, idle_us, text })
}

/// `ts AS ts - INTERVAL '5' SECOND`, or `ts AS ts` for input that is in order; the delay in microseconds.
fn watermark(cursor: &mut Cursor<'_>) -> Result<i64, ParseError> {
    event_time(cursor)?;
    cursor.expect_word("AS")?;
    event_time(cursor)?;
    match cursor.take_token(&Token::Minus) {
        true => interval(cursor),
        false => Ok(0),
    }
}

/// `IDLE AFTER INTERVAL '1' MINUTE`, `IDLE NEVER` or nothing.
fn idle(cursor: &mut Cursor<'_>) -> Result<Option<i64>, ParseError> {
    if !cursor.take_word("IDLE") {
        return Ok(Some(DEFAULT_IDLE_US));
    }
    if cursor.take_word("NEVER") {
        return Ok(None);
    }
    if !cursor.take_word("AFTER") {
        return Err(cursor.expected("AFTER or NEVER", Some("IDLE AFTER INTERVAL '1' MINUTE")));
    }
    interval(cursor).map(Some)
}

fn event_time(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    let at = cursor.mark();
    let name = cursor.identifier("`ts`")?;
    match name.as_str() {
        "ts" => Ok(()),
        _ => {
            let hint = "event time is the column `ts` in every stream";
            Err(cursor.error_at(at, "`ts`", format!("`{name}`"), Some(hint.to_owned())))
        }
    }
}

/// A property, or nothing for a column that every stream has.
fn column(cursor: &mut Cursor<'_>) -> Result<Option<Column>, ParseError> {
    let at = cursor.mark();
    let name = cursor.identifier("a column's name")?;
    if !is_property_name(&name) {
        let expected = "a name of 1 to 128 bytes without control characters";
        return Err(cursor.error_at(at, expected, format!("{name:?}"), None));
    }
    let ty = column_type(cursor)?;
    let required = cursor.take_words(&["NOT", "NULL"])?;
    if !required {
        cursor.take_word("NULL");
    }
    let unit = unit(cursor)?;
    let system = match name.as_str() {
        "ts" => Some(ValueType::Time),
        "device" | "site" => Some(ValueType::Text),
        _ if name.starts_with('_') => {
            let hint = "names that begin with `_` belong to the platform";
            return Err(cursor.error_at(at, "a column's name", format!("`{name}`"), Some(hint.to_owned())));
        }
        _ => None,
    };
    match system {
        None => Ok(Some(Column { name, ty, required, unit })),
        Some(fixed) if fixed == ty => Ok(None),
        Some(fixed) => {
            let expected = if fixed == ValueType::Time { "TIMESTAMP" } else { "TEXT" };
            let hint = format!("every stream has `{name}` of this type");
            Err(cursor.error_at(at, format!("`{name} {expected}`"), "another type", Some(hint)))
        }
    }
}

/// `UNIT 'W'` or nothing.
pub(super) fn unit(cursor: &mut Cursor<'_>) -> Result<Option<String>, ParseError> {
    if !cursor.take_word("UNIT") {
        return Ok(None);
    }
    let Some(Token::SingleQuotedString(unit)) = cursor.peek().cloned() else {
        return Err(cursor.expected("a quoted unit such as 'W'", None));
    };
    if !(1..=UNIT_CHARACTERS_MAX).contains(&unit.chars().count()) {
        let expected = format!("a unit of 1 to {UNIT_CHARACTERS_MAX} characters");
        return Err(cursor.expected(&expected, None));
    }
    cursor.take();
    Ok(Some(unit))
}

pub(super) fn column_type(cursor: &mut Cursor<'_>) -> Result<ValueType, ParseError> {
    const HINT: &str = "BOOLEAN, BIGINT, DOUBLE, TEXT and TIMESTAMP are the types";
    let at = cursor.mark();
    let Some(word) = cursor.take_any_word() else {
        return Err(cursor.expected("a type", Some(HINT)));
    };
    let ty = match word.as_str() {
        "BOOLEAN" | "BOOL" => ValueType::Bool,
        "BIGINT" | "INT" | "INTEGER" | "SMALLINT" | "TINYINT" | "INT8" | "INT4" | "INT2" => ValueType::Int,
        "DOUBLE" | "FLOAT" | "REAL" | "DECIMAL" | "NUMERIC" | "FLOAT8" | "FLOAT4" => ValueType::Float,
        "TEXT" | "STRING" | "VARCHAR" | "CHAR" | "JSON" => ValueType::Text,
        "TIMESTAMP" | "TIMESTAMPTZ" | "TIMESTAMP_LTZ" | "DATETIME" => ValueType::Time,
        _ => return Err(cursor.error_at(at, "a type", format!("`{word}`"), Some(HINT.to_owned()))),
    };
    if word == "DOUBLE" {
        cursor.take_word("PRECISION");
    }
    if cursor.take_token(&Token::LParen) {
        while matches!(cursor.peek(), Some(Token::Number(..) | Token::Comma)) {
            cursor.take();
        }
        cursor.expect_token(Token::RParen, "`)`")?;
    }
    if ty == ValueType::Time && (cursor.take_word("WITH") || cursor.take_word("WITHOUT")) {
        let _local = cursor.take_word("LOCAL");
        cursor.expect_word("TIME")?;
        cursor.expect_word("ZONE")?;
    }
    Ok(ty)
}

fn pipeline(cursor: &mut Cursor<'_>, start: Mark, or_replace: bool) -> Result<CreatePipeline, ParseError> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"])?;
    let name = cursor.stream_name("the pipeline's name")?;
    if !cursor.take_word("INTO") {
        return Err(cursor.expected("INTO", Some("CREATE PIPELINE name INTO stream AS SELECT …")));
    }
    let into = cursor.stream_name("the stream that takes the rows")?;
    let select = select(cursor)?;
    Ok(CreatePipeline { name, into, or_replace, if_not_exists, select, text: cursor.text_since(start) })
}

/// `[ALLOWED LATENESS INTERVAL …] [EMIT FINAL | EMIT EVERY INTERVAL …] AS SELECT …`.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Result<Select, ParseError> {
    let mut allowed_lateness_us = 0;
    let mut emit_every_us = None;
    loop {
        if cursor.take_words(&["ALLOWED", "LATENESS"])? {
            allowed_lateness_us = interval(cursor)?;
        } else if cursor.take_word("EMIT") {
            emit_every_us = emit(cursor)?;
        } else {
            break;
        }
    }
    if !cursor.take_word("AS") {
        return Err(cursor.expected("AS", Some("the query follows AS: … AS SELECT …")));
    }
    if !cursor.is_query_start() {
        return Err(cursor.expected("SELECT", None));
    }
    let (text, at) = cursor.rest_of_statement()?;
    Ok(Select { text, at, allowed_lateness_us, emit_every_us, firing: Firing::default() })
}

/// What stands behind `EMIT`: how often windows give what there is before they close.
fn emit(cursor: &mut Cursor<'_>) -> Result<Option<i64>, ParseError> {
    if cursor.take_word("FINAL") {
        return Ok(None);
    }
    if !cursor.take_word("EVERY") {
        return Err(cursor.expected("FINAL or EVERY", Some("EMIT EVERY INTERVAL '10' SECOND")));
    }
    let at = cursor.mark();
    match interval(cursor)? {
        every_us if every_us > 0 => Ok(Some(every_us)),
        _ => Err(cursor.error_at(at, "a length of time", "none", None)),
    }
}
