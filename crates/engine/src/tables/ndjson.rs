//! NDJSON: one object in each line. What the table does not declare is passed over; what an object does not have is null.

use serde_json::{Map, Value};

use super::columns::Columns;
use super::{Definition, LoadError};

pub(super) fn read(
    definition: &Definition,
    from: &str,
    text: &str,
    columns: &mut Columns<'_>,
) -> Result<(), LoadError> {
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let why = format!("expected an object in JSON: {error}");
            LoadError::Line { from: from.to_owned(), line, why }
        })?;
        columns.begin_row(line)?;
        for (at, column) in definition.columns.iter().enumerate() {
            columns.push_json(at, object.get(&column.name).unwrap_or(&Value::Null))?;
        }
    }
    Ok(())
}
