//! A batch becomes the body of a frame.

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use prost::Message;

use crate::envelope::HEADER_BYTES;
use crate::message::{Column, ColumnType, Frame};
use crate::{FrameError, Limits, at_most, decimal, text, time_type};

/// The body, behind [`HEADER_BYTES`] bytes for the envelope.
pub(crate) fn body(batch: &RecordBatch, limits: Limits) -> Result<Vec<u8>, FrameError> {
    let rows = batch.num_rows() as u64;
    let text_bytes_max = limits.check_shape(rows, batch.num_columns() as u64)?;
    let mut text_bytes = 0;
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if let Some(array) = array.as_string_opt::<i32>() {
            let offsets = array.value_offsets();
            text_bytes += offsets.last().zip(offsets.first()).map_or(0, |(end, start)| (end - start) as u64);
            at_most("bytes", text_bytes, text_bytes_max)?;
        }
        columns.push(column(field, array)?);
    }
    let frame = Frame { rows, columns };
    let mut body = Vec::with_capacity(HEADER_BYTES + frame.encoded_len());
    body.resize(HEADER_BYTES, 0);
    frame.encode_raw(&mut body);
    Ok(body)
}

fn column(field: &Field, array: &dyn Array) -> Result<Column, FrameError> {
    let mut column =
        Column { name: field.name().clone(), required: !field.is_nullable(), ..Column::default() };
    if array.null_count() > 0
        && let Some(nulls) = array.nulls()
    {
        column.valid = nulls.inner().sliced().to_vec();
        clear_padding(&mut column.valid, array.len());
    }
    let ty = match array.data_type() {
        DataType::Boolean => {
            column.bits = bits(array.as_boolean());
            ColumnType::Bool
        }
        DataType::Int64 => {
            column.deltas = deltas(array.as_primitive::<Int64Type>().values(), array);
            ColumnType::Int
        }
        DataType::Float64 => {
            floats(present(array.as_primitive::<Float64Type>().values(), array), &mut column);
            ColumnType::Float
        }
        DataType::Utf8 => {
            text::encode(array.as_string(), &mut column);
            ColumnType::Text
        }
        other if *other == time_type() => {
            column.deltas = deltas(array.as_primitive::<TimestampMicrosecondType>().values(), array);
            ColumnType::Time
        }
        other => {
            return Err(FrameError::UnsupportedType {
                column: field.name().clone(),
                found: format!("{other:?}"),
            });
        }
    };
    column.r#type = ty as i32;
    Ok(column)
}

/// The values of the rows that have one.
fn present<T: Copy>(values: &[T], array: &dyn Array) -> Vec<T> {
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => values.to_vec(),
        Some(nulls) => nulls.valid_indices().map(|row| values[row]).collect(),
    }
}

fn deltas(values: &[i64], array: &dyn Array) -> Vec<i64> {
    let mut values = present(values, array);
    let mut previous = 0;
    for value in &mut values {
        (previous, *value) = (*value, value.wrapping_sub(previous));
    }
    values
}

fn floats(values: Vec<f64>, column: &mut Column) {
    match decimal::deltas(&values) {
        Some((exponent, deltas)) => {
            column.exponent = Some(exponent);
            column.deltas = deltas;
        }
        None => column.doubles = values,
    }
}

/// The bits of all rows; those without a value are 0, so that equal batches give equal frames.
fn bits(array: &BooleanArray) -> Vec<u8> {
    let values = match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    };
    let mut bits = values.sliced().to_vec();
    clear_padding(&mut bits, array.len());
    bits
}

/// Bits past the last row are whatever lay in the buffer; make them 0 and drop bytes that no row uses.
fn clear_padding(bits: &mut Vec<u8>, rows: usize) {
    bits.truncate(rows.div_ceil(8));
    if let Some(last) = bits.last_mut()
        && !rows.is_multiple_of(8)
    {
        *last &= (1 << (rows % 8)) - 1;
    }
}
