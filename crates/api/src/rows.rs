//! Arrow columns as JSON text, cell by cell into one buffer.
//!
//! JSON has no NaN and no infinities: they become null. Times become RFC 3339. Types that JSON has no word for
//! (decimals, intervals, lists) become the text that Arrow prints for them.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;
use serde_json::value::RawValue;
use springhouse_model::Timestamp;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Text of rows in one JSON answer. A row may hold a payload of a MiB, and ten thousand of these are no answer for a
/// page.
const JSON_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ColumnView {
    #[schema(example = "power")]
    pub name: String,
    /// bool, int, float, text, time, or the Arrow type of what a query computed
    #[serde(rename = "type")]
    #[schema(example = "float")]
    pub kind: String,
}

impl From<&Field> for ColumnView {
    fn from(field: &Field) -> ColumnView {
        ColumnView { name: field.name().clone(), kind: type_word(field.data_type()) }
    }
}

pub(crate) fn columns_of(schema: &arrow::datatypes::Schema) -> Vec<ColumnView> {
    schema.fields().iter().map(|field| ColumnView::from(field.as_ref())).collect()
}

/// The word of the platform for a type, wide and narrow alike.
fn type_word(ty: &DataType) -> String {
    match ty {
        DataType::Boolean => String::from("bool"),
        ty if ty.is_integer() => String::from("int"),
        ty if ty.is_floating() => String::from("float"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => String::from("text"),
        DataType::Timestamp(..) => String::from("time"),
        DataType::Dictionary(_, value) => type_word(value),
        other => other.to_string(),
    }
}

/// The cells of one column.
enum Cells<'a> {
    Bool(&'a arrow::array::BooleanArray),
    Int(Box<dyn Fn(usize) -> i64 + 'a>),
    Unsigned(&'a arrow::array::UInt64Array),
    Float(Box<dyn Fn(usize) -> f64 + 'a>),
    Text(Box<dyn Fn(usize) -> &'a str + 'a>),
    /// Microseconds.
    Time(Box<dyn Fn(usize) -> i64 + 'a>),
    Other(ArrayFormatter<'a>),
}

/// Writes the rows of a batch.
pub(crate) struct Rows<'a> {
    columns: Vec<(&'a dyn Array, Cells<'a>)>,
    rows: usize,
}

impl<'a> Rows<'a> {
    pub fn new(batch: &'a RecordBatch) -> Result<Rows<'a>, ArrowError> {
        let columns = batch.columns().iter().map(|column| Ok((column.as_ref(), cells(column)?)));
        Ok(Rows { columns: columns.collect::<Result<_, ArrowError>>()?, rows: batch.num_rows() })
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_null(&self, column: usize, row: usize) -> bool {
        self.columns[column].0.is_null(row)
    }

    /// Appends one cell.
    pub fn write_cell(&self, column: usize, row: usize, out: &mut Vec<u8>) {
        let (array, cells) = &self.columns[column];
        if array.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            cells.write(row, out);
        }
    }

    /// Appends `[cell, …]`.
    pub fn write_array(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'[');
        for column in 0..self.columns.len() {
            if column > 0 {
                out.push(b',');
            }
            self.write_cell(column, row, out);
        }
        out.push(b']');
    }

    /// Appends `{name: cell, …}`; `names` are the keys as [`json_keys`] makes them.
    pub fn write_object(&self, names: &[Vec<u8>], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (column, name) in names.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            self.write_cell(column, row, out);
        }
        out.push(b'}');
    }
}

/// Rows as a JSON array of arrays, built in memory and therefore bounded.
pub(crate) struct JsonRows {
    text: Vec<u8>,
    rows: usize,
    rows_max: usize,
}

impl JsonRows {
    pub fn new(rows_max: usize) -> JsonRows {
        JsonRows { text: vec![b'['], rows: 0, rows_max }
    }

    /// False when some of the rows have no room any more.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<bool, Problem> {
        let rows = Rows::new(batch).map_err(unwritable)?;
        for row in 0..rows.len() {
            if self.rows >= self.rows_max || self.text.len() >= JSON_BYTES_MAX {
                return Ok(false);
            }
            if self.rows > 0 {
                self.text.push(b',');
            }
            rows.write_array(row, &mut self.text);
            self.rows += 1;
        }
        Ok(true)
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn finish(mut self) -> Result<Box<RawValue>, Problem> {
        self.text.push(b']');
        let doing = "write the rows as JSON";
        let text = String::from_utf8(self.text).map_err(|error| Problem::internal(doing, &error))?;
        RawValue::from_string(text).map_err(|error| Problem::internal(doing, &error))
    }
}

/// The first `limit` rows of some batches as a JSON array of arrays.
pub(crate) fn raw_rows(batches: &[RecordBatch], limit: usize) -> Result<Box<RawValue>, Problem> {
    let mut rows = JsonRows::new(limit);
    for batch in batches {
        rows.push(batch)?;
    }
    rows.finish()
}

pub(crate) fn unwritable(error: ArrowError) -> Problem {
    Problem::internal("write the rows", &error)
}

/// The names of columns as `"name":`.
pub(crate) fn json_keys(schema: &arrow::datatypes::Schema) -> Vec<Vec<u8>> {
    let key = |name: &String| {
        let mut key = Vec::with_capacity(name.len() + 3);
        write_text(name, &mut key);
        key.push(b':');
        key
    };
    schema.fields().iter().map(|field| key(field.name())).collect()
}

/// Appends a JSON string.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing into a Vec does not fail, and a string is always JSON.
    let _ = serde_json::to_writer(out, text);
}

impl Cells<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Cells::Bool(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Cells::Int(value) => {
                let _ = write!(out, "{}", value(row));
            }
            Cells::Unsigned(array) => {
                let _ = write!(out, "{}", array.value(row));
            }
            // serde_json writes what is not finite as null.
            Cells::Float(value) => {
                let _ = serde_json::to_writer(out, &value(row));
            }
            Cells::Text(value) => write_text(value(row), out),
            Cells::Time(value) => {
                let _ = write!(out, "\"{}\"", Timestamp(value(row)));
            }
            Cells::Other(formatter) => write_text(&formatter.value(row).to_string(), out),
        }
    }
}

fn cells(array: &ArrayRef) -> Result<Cells<'_>, ArrowError> {
    macro_rules! ints {
        ($ty:ty) => {{
            let array = array.as_primitive::<$ty>();
            Cells::Int(Box::new(move |row| i64::from(array.value(row))))
        }};
    }
    macro_rules! times {
        ($ty:ty, $to_micros:expr) => {{
            let array = array.as_primitive::<$ty>();
            let to_micros: fn(i64) -> i64 = $to_micros;
            Cells::Time(Box::new(move |row| to_micros(array.value(row))))
        }};
    }
    Ok(match array.data_type() {
        DataType::Boolean => Cells::Bool(array.as_boolean()),
        DataType::Int8 => ints!(Int8Type),
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Int64 => ints!(Int64Type),
        DataType::UInt8 => ints!(UInt8Type),
        DataType::UInt16 => ints!(UInt16Type),
        DataType::UInt32 => ints!(UInt32Type),
        DataType::UInt64 => Cells::Unsigned(array.as_primitive::<UInt64Type>()),
        DataType::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            Cells::Float(Box::new(move |row| f64::from(array.value(row))))
        }
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            Cells::Float(Box::new(move |row| array.value(row)))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Cells::Text(Box::new(move |row| array.value(row)))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            Cells::Text(Box::new(move |row| array.value(row)))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            Cells::Text(Box::new(move |row| array.value(row)))
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            times!(TimestampSecondType, |s| s.saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            times!(TimestampMillisecondType, |ms| ms.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => times!(TimestampMicrosecondType, |us| us),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            times!(TimestampNanosecondType, |ns| ns.div_euclid(1_000))
        }
        _ => Cells::Other(ArrayFormatter::try_new(array.as_ref(), &PLAIN)?),
    })
}

const PLAIN: FormatOptions<'static> = FormatOptions::new();

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Decimal128Array, Float64Array, Int32Array, StringViewArray, TimestampMicrosecondArray,
    };

    use super::*;

    fn batch() -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("ts", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_500_000]).with_timezone("UTC"))),
            ("on", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("n", Arc::new(Int32Array::from(vec![-1, 2]))),
            ("x", Arc::new(Float64Array::from(vec![f64::NAN, 0.1]))),
            ("who", Arc::new(StringViewArray::from(vec!["a\"b", "ü"]))),
            ("sum", Arc::new(Decimal128Array::from(vec![150, 20]).with_precision_and_scale(5, 2).unwrap())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn rows_become_json_and_what_is_not_finite_becomes_null() {
        let batch = batch();
        let rows = Rows::new(&batch).unwrap();
        let mut out = Vec::new();
        rows.write_array(0, &mut out);
        rows.write_object(&json_keys(&batch.schema()), 1, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"["1970-01-01T00:00:00Z",true,-1,null,"a\"b","1.50"]"#,
                r#"{"ts":"1970-01-01T00:00:01.500Z","on":null,"n":2,"x":0.1,"who":"ü","sum":"0.20"}"#
            )
        );
    }

    #[test]
    fn types_have_the_words_of_the_platform() {
        let words: Vec<String> =
            columns_of(&batch().schema()).into_iter().map(|column| column.kind).collect();
        assert_eq!(words, ["time", "bool", "int", "float", "text", "Decimal128(5, 2)"]);
    }
}
