//! Builders that can forget: rows of a refused message are cut off again.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, NullBufferBuilder, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;
use springhouse_model::ValueType;

use super::time;

/// Integers up to here are exact as a double.
const EXACT_MAX: u64 = 1 << 53;

/// Rows that a fresh builder has room for.
pub(super) const ROWS_INITIAL: usize = 256;

/// The values of a column; a null row holds a zero or an empty text.
#[derive(Debug)]
pub(super) enum Values {
    Bool(BooleanBufferBuilder),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Text),
    Time(Vec<i64>),
}

/// Why a value is not one of its column's: what came, in the words of a refusal.
pub(super) type Misfit = &'static str;

/// What fits a column of which type, for every reader.
impl Values {
    #[inline]
    pub fn push_bool(&mut self, value: bool) -> Result<(), Misfit> {
        match self {
            Values::Bool(bits) => bits.append(value),
            _ => return Err("a boolean"),
        }
        Ok(())
    }

    #[inline]
    pub fn push_integer(&mut self, value: i64) -> Result<(), Misfit> {
        match self {
            Values::Int(values) => values.push(value),
            Values::Float(values) if value.unsigned_abs() <= EXACT_MAX => values.push(value as f64),
            Values::Float(_) => return Err("an integer beyond 2^53"),
            Values::Time(values) => values.push(time::from_integer(value)),
            _ => return Err("a number"),
        }
        Ok(())
    }

    /// A number that was written with a point or an exponent, or is beyond all integers.
    #[inline]
    pub fn push_fraction(&mut self, value: f64) -> Result<(), Misfit> {
        match self {
            Values::Float(values) => values.push(value),
            // JSON Schema: a number without fraction is an integer, however it is written.
            Values::Int(values) if value.fract() == 0.0 && value.abs() <= EXACT_MAX as f64 => {
                values.push(value as i64);
            }
            Values::Time(values) => values.push(time::from_fraction(value)),
            _ => return Err("a number with a fraction"),
        }
        Ok(())
    }

    #[inline]
    pub fn push_text(&mut self, value: &str) -> Result<(), Misfit> {
        match self {
            Values::Text(text) => text.push(value),
            Values::Time(values) => match time::from_text(value) {
                Some(micros) => values.push(micros),
                None => return Err("another text"),
            },
            _ => return Err("a text"),
        }
        Ok(())
    }
}

/// A column of a property. Rows at its end that have no value are filled in only when a later row has one.
#[derive(Debug)]
pub(super) struct Column {
    pub required: bool,
    pub values: Values,
    nulls: NullBufferBuilder,
    len: usize,
}

impl Column {
    /// With room for so many rows.
    pub fn new(ty: ValueType, required: bool, rows: usize) -> Column {
        let values = match ty {
            ValueType::Bool => Values::Bool(BooleanBufferBuilder::new(rows)),
            ValueType::Int => Values::Int(Vec::with_capacity(rows)),
            ValueType::Float => Values::Float(Vec::with_capacity(rows)),
            ValueType::Text => Values::Text(Text::new(rows)),
            ValueType::Time => Values::Time(Vec::with_capacity(rows)),
        };
        Column { required, values, nulls: NullBufferBuilder::new(rows), len: 0 }
    }

    /// Whether the row has its value already.
    pub fn has(&self, row: usize) -> bool {
        self.len > row
    }

    /// Makes `row` the next one to be pushed and counts it as a value; the caller pushes it into `values`.
    #[inline]
    pub fn begin_value(&mut self, row: usize) {
        if self.len < row {
            self.pad(row);
        }
        self.nulls.append_non_null();
        self.len = row + 1;
    }

    #[cold]
    fn pad(&mut self, len: usize) {
        let missing = len - self.len;
        match &mut self.values {
            Values::Bool(bits) => bits.append_n(missing, false),
            Values::Int(values) | Values::Time(values) => values.resize(len, 0),
            Values::Float(values) => values.resize(len, 0.0),
            Values::Text(text) => text.pad(missing),
        }
        self.nulls.append_n_nulls(missing);
        self.len = len;
    }

    /// Forgets all rows from `len` on, also a value that was begun but not pushed.
    pub fn truncate(&mut self, len: usize) {
        if self.len <= len {
            return;
        }
        match &mut self.values {
            Values::Bool(bits) => bits.truncate(len),
            Values::Int(values) | Values::Time(values) => values.truncate(len),
            Values::Float(values) => values.truncate(len),
            Values::Text(text) => text.truncate(len),
        }
        self.nulls.truncate(len);
        self.len = len;
    }

    pub fn finish(mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        if self.len < rows {
            self.pad(rows);
        }
        let nulls = self.nulls.finish();
        Ok(match self.values {
            Values::Bool(mut bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::Int(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::Float(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Values::Text(text) => text.finish(nulls)?,
            Values::Time(values) => time_array(values, nulls)?,
        })
    }
}

pub(super) fn time_array(values: Vec<i64>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(TimestampMicrosecondArray::try_new(values.into(), nulls)?.with_timezone("UTC")))
}

/// Texts one after the other, with the end of each.
#[derive(Debug)]
pub(super) struct Text {
    pub bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl Text {
    pub fn new(rows: usize) -> Text {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Text { bytes: Vec::with_capacity(rows * 8), offsets }
    }

    #[inline]
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end_value();
    }

    /// Ends a text whose bytes were appended one by one. Bytes are bounded far below 2 GiB by the queue's bound.
    #[inline]
    pub fn end_value(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    fn pad(&mut self, missing: usize) {
        let end = self.bytes.len() as i32;
        self.offsets.resize(self.offsets.len() + missing, end);
    }

    pub fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.bytes.truncate(end as usize);
    }

    pub fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)?))
    }
}

/// A system column of texts: the same for all rows of a message, or absent for all.
#[derive(Debug)]
pub(super) struct OptionalText {
    text: Text,
    nulls: NullBufferBuilder,
}

impl OptionalText {
    pub fn new(rows: usize) -> OptionalText {
        OptionalText { text: Text::new(rows), nulls: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub fn push(&mut self, value: Option<&str>) {
        match value {
            Some(value) => {
                self.text.push(value);
                self.nulls.append_non_null();
            }
            None => {
                self.text.end_value();
                self.nulls.append_null();
            }
        }
    }

    pub fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
        self.nulls.truncate(len);
    }

    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        self.text.finish(nulls)
    }
}

/// A system column of times: the same for all rows of a message, or absent for all.
#[derive(Debug)]
pub(super) struct OptionalTime {
    values: Vec<i64>,
    nulls: NullBufferBuilder,
}

impl OptionalTime {
    pub fn new(rows: usize) -> OptionalTime {
        OptionalTime { values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub fn push(&mut self, value: Option<i64>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    pub fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        time_array(self.values, nulls)
    }
}
