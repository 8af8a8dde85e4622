//! From the columns of a SELECT to the columns of a stream.
//!
//! Columns named `ts`, `device`, `site`, `_received` and `_id` become the system columns of the derived stream, all
//! others its properties. A SELECT without `ts` gets one: the end of the window (the moment at which the row is known)
//! or, without windows, the time of the row it was made from.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampMicrosecondArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, kernels::zip::zip};
use arrow::datatypes::{DataType, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use springhouse_model::ValueType;
use springhouse_schema::{Field, Schema, TS_COLUMN, is_system_column};

use super::late::Late;
use super::{PlanError, StreamTable};
use crate::operators::LateRows;

/// How the last step's columns become a batch of the derived stream.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) schema: Schema,
    pub(crate) late_schema: Schema,
    /// The columns of an output batch that the SELECT named, in its order.
    pub(crate) selected: Vec<usize>,
    arrow: SchemaRef,
    late: Late,
    /// For each column of the derived stream the column of the SELECT it comes from.
    from: Vec<Option<usize>>,
}

impl Output {
    pub(super) fn of(select: &ArrowSchema, sources: &[StreamTable]) -> Result<Output, PlanError> {
        let mut fields: Vec<Field> = Vec::new();
        let mut names = Vec::new();
        for column in select.fields() {
            let name = column_name(column.name());
            let ty = target_type(&name, column.data_type())?;
            if names.contains(&name) {
                return Err(PlanError::twice(&name));
            }
            if !is_system_column(&name) {
                fields.push(Field::new(name.clone(), ty));
            }
            names.push(name);
        }
        let schema = Schema::new(fields);
        let arrow = schema.arrow();
        let from: Vec<Option<usize>> =
            arrow.fields().iter().map(|field| names.iter().position(|name| name == field.name())).collect();
        let selected = names.iter().filter_map(|name| arrow.index_of(name).ok()).collect();
        let (late, late_schema) = Late::of(sources);
        Ok(Output { schema, late_schema, selected, arrow, late, from })
    }

    /// A batch of the derived stream; `times` stands in where the SELECT gives no time.
    pub(crate) fn shape(
        &self,
        batch: &RecordBatch,
        times: &TimestampMicrosecondArray,
    ) -> Result<RecordBatch, ArrowError> {
        let columns = self.arrow.fields().iter().zip(&self.from).map(|(field, from)| {
            let column = match from {
                Some(index) => convert(batch.column(*index), field.data_type())?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            match field.name() == TS_COLUMN {
                true => with_times(column, from.is_some(), times),
                false => Ok(column),
            }
        });
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow), columns, &options)
    }

    /// Late rows of the source with what they were late by, as a batch of the late stream.
    pub(crate) fn shape_late(&self, late: &LateRows) -> Result<RecordBatch, ArrowError> {
        self.late.shape(late)
    }
}

/// Expressions without AS are named by DataFusion after their text; that becomes a word: `avg(m.temp)` → `avg_temp`.
pub(super) fn column_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == ' ';
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let mut word = String::new();
    for part in name.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')) {
        let part = part.rsplit('.').find(|piece| !piece.is_empty()).unwrap_or_default();
        if !part.is_empty() {
            word.push_str(if word.is_empty() { "" } else { "_" });
            word.push_str(&part.to_lowercase());
        }
    }
    if word.is_empty() { "column".to_owned() } else { word }
}

/// The type of a column of the derived stream, or why it cannot be one.
fn target_type(name: &str, ty: &DataType) -> Result<ValueType, PlanError> {
    let value = value_type_of(ty).ok_or_else(|| {
        PlanError::new(format!("column `{name}` has the type {ty}, which a stream cannot hold"))
            .with_hint("CAST it to BOOLEAN, BIGINT, DOUBLE, TEXT or TIMESTAMP")
    })?;
    match (name, value) {
        ("ts" | "_received", ValueType::Time) | ("device" | "site" | "_id", ValueType::Text) => Ok(value),
        ("ts" | "_received", _) => Err(PlanError::new(format!("`{name}` must be a TIMESTAMP"))
            .with_hint(format!("give the column another name, or convert it: to_timestamp(…) AS {name}"))),
        ("device" | "site" | "_id", _) => Err(PlanError::new(format!("`{name}` must be TEXT"))
            .with_hint(format!("give the column another name, or CAST(… AS TEXT) AS {name}"))),
        _ => Ok(value),
    }
}

pub(super) fn value_type_of(ty: &DataType) -> Option<ValueType> {
    Some(match ty {
        DataType::Boolean => ValueType::Bool,
        integer if integer.is_integer() => ValueType::Int,
        DataType::Duration(_) => ValueType::Int,
        number if number.is_numeric() => ValueType::Float,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => ValueType::Text,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => ValueType::Time,
        DataType::Dictionary(_, value) => value_type_of(value)?,
        _ => return None,
    })
}

/// Casts to the stream's type; a value that does not fit becomes null rather than ending the pipeline.
pub(crate) fn convert(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    if matches!(column.data_type(), DataType::Timestamp(_, None)) {
        // A timestamp without a zone is meant as UTC, not as local time to be shifted.
        let micros = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        let micros = cast_with_options(column, &micros, &options)?;
        return cast_with_options(&micros, to, &options);
    }
    cast_with_options(column, to, &options)
}

/// The `ts` column, never null.
fn with_times(
    column: ArrayRef,
    is_selected: bool,
    times: &TimestampMicrosecondArray,
) -> Result<ArrayRef, ArrowError> {
    let times = times.clone().with_timezone("UTC");
    if !is_selected {
        return Ok(Arc::new(times));
    }
    if column.null_count() == 0 {
        return Ok(column);
    }
    let present = arrow::compute::is_not_null(&column)?;
    zip(&present, &column, &(Arc::new(times) as ArrayRef))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_without_a_name_get_a_word() {
        let check = |name: &str, word: &str| assert_eq!(column_name(name), word);
        check("temp", "temp");
        check("Power", "Power");
        check("avg(homes.temp)", "avg_temp");
        check("count(*)", "count");
        check("homes.temp * Int64(2)", "temp_int64_2");
        check("(*)", "column");
    }

    #[test]
    fn every_arrow_type_is_mapped_or_refused() {
        assert_eq!(value_type_of(&DataType::UInt8), Some(ValueType::Int));
        assert_eq!(value_type_of(&DataType::Decimal128(10, 2)), Some(ValueType::Float));
        assert_eq!(value_type_of(&DataType::Date32), Some(ValueType::Time));
        assert_eq!(value_type_of(&DataType::Binary), None);
    }
}
