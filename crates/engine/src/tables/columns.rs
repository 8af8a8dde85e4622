//! Values of a file, one by one, as columns of the declared types.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
    TimestampMicrosecondBuilder,
};
use serde_json::Value;
use springhouse_model::{Timestamp, ValueType};

use super::reading::Bounds;
use super::{Definition, LoadError};

/// The rows that have been read so far.
pub(super) struct Columns<'a> {
    definition: &'a Definition,
    from: &'a str,
    bounds: Bounds,
    builders: Vec<Builder>,
    /// The line of each row.
    lines: Vec<u64>,
    text_bytes: usize,
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl<'a> Columns<'a> {
    pub(super) fn new(definition: &'a Definition, from: &'a str, bounds: Bounds) -> Columns<'a> {
        let builders = definition.types().map(|ty| match ty {
            ValueType::Bool => Builder::Bool(BooleanBuilder::new()),
            ValueType::Int => Builder::Int(Int64Builder::new()),
            ValueType::Float => Builder::Float(Float64Builder::new()),
            ValueType::Text => Builder::Text(StringBuilder::new()),
            ValueType::Time => Builder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        });
        let builders = builders.collect();
        Columns { definition, from, bounds, builders, lines: Vec::new(), text_bytes: 0 }
    }

    /// Begins a row; each of its columns is then given a value.
    pub(super) fn begin_row(&mut self, line: u64) -> Result<(), LoadError> {
        if self.lines.len() >= self.bounds.rows_max {
            let (from, rows_max) = (self.from.to_owned(), self.bounds.rows_max);
            return Err(LoadError::TooManyRows { from, rows_max });
        }
        self.lines.push(line);
        Ok(())
    }

    /// A value as text; `None` is null.
    pub(super) fn push_text(&mut self, column: usize, text: Option<&str>) -> Result<(), LoadError> {
        let Some(text) = text else { return self.push_null(column) };
        let pushed = match &mut self.builders[column] {
            Builder::Bool(values) => {
                bool_of(text).map(|value| values.append_value(value)).ok_or("true or false")
            }
            Builder::Int(values) => {
                text.parse().map(|number| values.append_value(number)).map_err(|_| "a whole number")
            }
            Builder::Float(values) => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(|number| values.append_value(number)).ok_or("a number such as 21.5")
            }
            Builder::Text(_) if text.len() > TEXT_BYTES_MAX => Err(TEXT),
            Builder::Text(values) => {
                self.text_bytes += text.len();
                values.append_value(text);
                Ok(())
            }
            Builder::Time(values) => time_of(text).map(|time| values.append_value(time.micros())).ok_or(TIME),
        };
        pushed.map_err(|expected| self.unexpected(column, expected, &format!("`{}`", shortened(text))))?;
        self.check_bytes()
    }

    /// A value of JSON, which has types of its own.
    pub(super) fn push_json(&mut self, column: usize, value: &Value) -> Result<(), LoadError> {
        if let (Builder::Text(_) | Builder::Time(_), Value::String(text)) = (&self.builders[column], value) {
            return self.push_text(column, Some(text));
        }
        let pushed = match (&mut self.builders[column], value) {
            (_, Value::Null) => return self.push_null(column),
            (Builder::Bool(values), value) => {
                value.as_bool().map(|value| values.append_value(value)).ok_or("true or false")
            }
            (Builder::Int(values), value) => {
                value.as_i64().map(|number| values.append_value(number)).ok_or("a whole number")
            }
            (Builder::Float(values), value) => {
                value.as_f64().map(|number| values.append_value(number)).ok_or("a number")
            }
            (Builder::Text(_), _) => Err("a text"),
            (Builder::Time(_), _) => Err(TIME),
        };
        pushed.map_err(|expected| self.unexpected(column, expected, &shortened(&value.to_string())))
    }

    pub(super) fn push_null(&mut self, column: usize) -> Result<(), LoadError> {
        if self.definition.columns[column].required {
            return Err(self.unexpected(column, "a value", "nothing"));
        }
        match &mut self.builders[column] {
            Builder::Bool(values) => values.append_null(),
            Builder::Int(values) => values.append_null(),
            Builder::Float(values) => values.append_null(),
            Builder::Text(values) => values.append_null(),
            Builder::Time(values) => values.append_null(),
        }
        Ok(())
    }

    /// The rows, and the line of each.
    pub(super) fn finish(self) -> Result<(RecordBatch, Vec<u64>), LoadError> {
        let columns: Vec<ArrayRef> = self
            .builders
            .into_iter()
            .map(|builder| match builder {
                Builder::Bool(mut values) => Arc::new(values.finish()) as ArrayRef,
                Builder::Int(mut values) => Arc::new(values.finish()),
                Builder::Float(mut values) => Arc::new(values.finish()),
                Builder::Text(mut values) => Arc::new(values.finish()),
                Builder::Time(mut values) => Arc::new(values.finish()),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.lines.len()));
        let schema = Arc::clone(self.definition.schema());
        let batch = RecordBatch::try_new_with_options(schema, columns, &options);
        let batch = batch.map_err(|source| LoadError::Order { from: self.from.to_owned(), source })?;
        Ok((batch, self.lines))
    }

    fn check_bytes(&self) -> Result<(), LoadError> {
        match self.text_bytes <= self.bounds.bytes_max {
            true => Ok(()),
            false => {
                Err(LoadError::TooLarge { from: self.from.to_owned(), bytes_max: self.bounds.bytes_max })
            }
        }
    }

    fn unexpected(&self, column: usize, expected: &str, found: &str) -> LoadError {
        LoadError::Value {
            from: self.from.to_owned(),
            line: self.lines.last().copied().unwrap_or_default(),
            column: self.definition.columns[column].name.clone(),
            why: format!("expected {expected}, found {found}"),
        }
    }
}

/// A text stands in every row that looks it up.
pub(super) const TEXT_BYTES_MAX: usize = 16 << 10;
pub(super) const TEXT: &str = "a text of at most 16 KiB";
const TIME: &str = "a time such as 2026-01-31T12:00:00Z";

fn bool_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "1" => Some(true),
        "false" | "f" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// RFC 3339, also with a blank instead of the T and without a zone, which is UTC then; or a day.
fn time_of(text: &str) -> Option<Timestamp> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.replacen(' ', "T", 1),
    };
    Timestamp::parse_rfc3339(&whole).or_else(|| Timestamp::parse_rfc3339(&format!("{whole}Z")))
}

/// Enough of a value to find it again.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
