//! Columns of arguments and of values, and what stands between them and a component.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Float64Array, Float64Builder, Int64Array,
    Int64Builder, StringArray, StringBuilder,
};
use arrow::datatypes::{Float64Type, Int64Type};
use wasmtime::component::Val;

use crate::export::{Gives, Parameter, Scalar};

/// The longest text that may come out.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What one parameter is given, row by row.
pub(crate) struct Arguments<'a> {
    parameter: &'a Parameter,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Text(&'a StringArray),
}

impl<'a> Arguments<'a> {
    /// `None` when the column is of another type.
    pub fn new(parameter: &'a Parameter, array: &'a ArrayRef) -> Option<Arguments<'a>> {
        let values = match parameter.scalar {
            Scalar::Bool => Values::Bool(array.as_boolean_opt()?),
            Scalar::F32 | Scalar::F64 => Values::Float(array.as_primitive_opt::<Float64Type>()?),
            Scalar::Text => Values::Text(array.as_string_opt::<i32>()?),
            _ => Values::Int(array.as_primitive_opt::<Int64Type>()?),
        };
        Some(Arguments { parameter, values })
    }

    fn is_null(&self, row: usize) -> bool {
        match self.values {
            Values::Bool(array) => array.is_null(row),
            Values::Int(array) => array.is_null(row),
            Values::Float(array) => array.is_null(row),
            Values::Text(array) => array.is_null(row),
        }
    }

    /// Whether the function is not asked about this row.
    pub fn forbids(&self, row: usize) -> bool {
        !self.parameter.takes_null && self.is_null(row)
    }

    /// The value of a row, or why there is none that the parameter could be given.
    pub fn value(&self, row: usize) -> Result<Val, String> {
        if self.is_null(row) {
            return Ok(Val::Option(None));
        }
        let value = match self.values {
            Values::Bool(array) => Val::Bool(array.value(row)),
            Values::Int(array) => self.whole(array.value(row))?,
            Values::Float(array) => match self.parameter.scalar {
                // The nearest of 32 bits, infinite where there is none.
                Scalar::F32 => Val::Float32(canonical(array.value(row)) as f32),
                _ => Val::Float64(canonical(array.value(row))),
            },
            Values::Text(array) => Val::String(array.value(row).to_owned()),
        };
        Ok(match self.parameter.takes_null {
            true => Val::Option(Some(Box::new(value))),
            false => value,
        })
    }

    fn whole(&self, value: i64) -> Result<Val, String> {
        let fits = match self.parameter.scalar {
            Scalar::S8 => i8::try_from(value).map(Val::S8),
            Scalar::U8 => u8::try_from(value).map(Val::U8),
            Scalar::S16 => i16::try_from(value).map(Val::S16),
            Scalar::U16 => u16::try_from(value).map(Val::U16),
            Scalar::S32 => i32::try_from(value).map(Val::S32),
            Scalar::U32 => u32::try_from(value).map(Val::U32),
            _ => Ok(Val::S64(value)),
        };
        let Parameter { name, scalar, .. } = self.parameter;
        fits.map_err(|_| format!("`{name}` is {value}, which is no {scalar}"))
    }
}

/// One of the many bit patterns of NaN.
fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// Gathers what comes out.
pub(crate) enum Results {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
}

impl Results {
    pub fn new(gives: Gives, rows: usize) -> Results {
        match gives.scalar {
            Scalar::Bool => Results::Bool(BooleanBuilder::with_capacity(rows)),
            Scalar::F32 | Scalar::F64 => Results::Float(Float64Builder::with_capacity(rows)),
            Scalar::Text => Results::Text(StringBuilder::new()),
            _ => Results::Int(Int64Builder::with_capacity(rows)),
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Results::Bool(builder) => builder.append_null(),
            Results::Int(builder) => builder.append_null(),
            Results::Float(builder) => builder.append_null(),
            Results::Text(builder) => builder.append_null(),
        }
    }

    /// Takes what a function gave, or tells why it is no value.
    pub fn push(&mut self, value: &Val) -> Result<(), String> {
        match (self, value) {
            (results, Val::Result(Ok(Some(value)))) => return results.push(value),
            (_, Val::Result(Err(Some(error)))) => {
                return Err(match error.as_ref() {
                    Val::String(text) => shortened(text),
                    _ => "it failed".to_owned(),
                });
            }
            (results, Val::Option(Some(value))) => return results.push(value),
            (results, Val::Option(None)) => results.push_null(),
            (Results::Bool(builder), Val::Bool(value)) => builder.append_value(*value),
            (Results::Int(builder), Val::S8(value)) => builder.append_value(i64::from(*value)),
            (Results::Int(builder), Val::U8(value)) => builder.append_value(i64::from(*value)),
            (Results::Int(builder), Val::S16(value)) => builder.append_value(i64::from(*value)),
            (Results::Int(builder), Val::U16(value)) => builder.append_value(i64::from(*value)),
            (Results::Int(builder), Val::S32(value)) => builder.append_value(i64::from(*value)),
            (Results::Int(builder), Val::U32(value)) => builder.append_value(i64::from(*value)),
            (Results::Int(builder), Val::S64(value)) => builder.append_value(*value),
            (Results::Float(builder), Val::Float32(value)) => {
                builder.append_value(canonical(f64::from(*value)));
            }
            (Results::Float(builder), Val::Float64(value)) => builder.append_value(canonical(*value)),
            (Results::Text(_), Val::String(text)) if text.len() > TEXT_BYTES_MAX => {
                return Err(format!(
                    "it gives a text of {} bytes, at most {TEXT_BYTES_MAX} are allowed",
                    text.len()
                ));
            }
            (Results::Text(builder), Val::String(text)) => builder.append_value(text),
            _ => return Err("it gives a value of another type".to_owned()),
        }
        Ok(())
    }

    /// Of all texts so far.
    pub fn text_bytes(&self) -> usize {
        match self {
            Results::Text(builder) => builder.values_slice().len(),
            _ => 0,
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Results::Bool(builder) => Arc::new(builder.finish()),
            Results::Int(builder) => Arc::new(builder.finish()),
            Results::Float(builder) => Arc::new(builder.finish()),
            Results::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// As much as a person reads of an error.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 500;
    match text.char_indices().nth(CHARACTERS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
