//! JSON: an object in each line, or an array of objects as APIs give it. What the table does not declare is passed over; what
//! an object does not have is null.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::columns::Columns;
use super::{Definition, LoadError};

pub(super) fn read(
    definition: &Definition,
    from: &str,
    text: &str,
    columns: &mut Columns<'_>,
) -> Result<(), LoadError> {
    if text.trim_start().starts_with('[') {
        return read_array(definition, from, text, columns);
    }
    for (line, text) in (1..).zip(text.lines()) {
        if !text.trim().is_empty() {
            read_object(definition, from, line, text, columns)?;
        }
    }
    Ok(())
}

fn read_array(
    definition: &Definition,
    from: &str,
    text: &str,
    columns: &mut Columns<'_>,
) -> Result<(), LoadError> {
    let objects: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        let why = format!("expected an array of objects in JSON: {error}");
        LoadError::Line { from: from.to_owned(), line: error.line() as u64, why }
    })?;
    let (mut line, mut counted) = (1, 0);
    for object in objects {
        // The texts of the objects lie in that of the array.
        let begin = object.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text.as_bytes()[counted..begin].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = begin;
        read_object(definition, from, line, object.get(), columns)?;
    }
    Ok(())
}

fn read_object(
    definition: &Definition,
    from: &str,
    line: u64,
    text: &str,
    columns: &mut Columns<'_>,
) -> Result<(), LoadError> {
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let why = format!("expected an object in JSON: {error}");
        LoadError::Line { from: from.to_owned(), line, why }
    })?;
    columns.begin_row(line)?;
    for (at, column) in definition.columns.iter().enumerate() {
        columns.push_json(at, object.get(&column.name).unwrap_or(&Value::Null))?;
    }
    Ok(())
}
