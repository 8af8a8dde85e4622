//! The body of a frame becomes a batch.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use prost::Message;

use crate::message::{Column, ColumnType, Frame};
use crate::{FrameError, Limits, at_most, decimal, shape, time_type};

const fn malformed(what: &'static str) -> FrameError {
    FrameError::Malformed { what }
}

pub(crate) fn batch(body: &[u8], limits: Limits) -> Result<RecordBatch, FrameError> {
    shape::check(body, limits)?;
    let frame = Frame::decode(body).map_err(|_| malformed("body is not a message"))?;
    let mut text_bytes_left = limits.check_shape(frame.rows, frame.columns.len() as u64)?;
    let rows = frame.rows as usize;
    let mut fields = Vec::with_capacity(frame.columns.len());
    let mut arrays = Vec::with_capacity(frame.columns.len());
    for mut column in frame.columns {
        let array = array(&mut column, rows, &mut text_bytes_left)?;
        fields.push(Field::new(column.name, array.data_type().clone(), !column.required));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|_| malformed("a required column has nulls"))
}

fn array(column: &mut Column, rows: usize, text_bytes_left: &mut u64) -> Result<ArrayRef, FrameError> {
    let nulls = nulls(column, rows)?;
    let present = nulls.as_ref().map_or(rows, |nulls| rows - nulls.null_count());
    let ty = ColumnType::try_from(column.r#type).map_err(|_| malformed("unknown column type"))?;
    Ok(match ty {
        ColumnType::Unknown => return Err(malformed("unknown column type")),
        ColumnType::Bool => {
            let bits = bitmap(std::mem::take(&mut column.bits), rows)?;
            Arc::new(BooleanArray::new(bits, nulls))
        }
        ColumnType::Int => Arc::new(Int64Array::new(integers(column, rows, present, nulls.as_ref())?, nulls)),
        ColumnType::Time => {
            let values = integers(column, rows, present, nulls.as_ref())?;
            Arc::new(TimestampMicrosecondArray::new(values, nulls).with_data_type(time_type()))
        }
        ColumnType::Float => {
            Arc::new(Float64Array::new(floats(column, rows, present, nulls.as_ref())?, nulls))
        }
        ColumnType::Text => Arc::new(texts(column, rows, present, nulls, text_bytes_left)?),
    })
}

fn nulls(column: &mut Column, rows: usize) -> Result<Option<NullBuffer>, FrameError> {
    if column.valid.is_empty() {
        return Ok(None);
    }
    let nulls = NullBuffer::new(bitmap(std::mem::take(&mut column.valid), rows)?);
    Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
}

fn bitmap(bits: Vec<u8>, rows: usize) -> Result<BooleanBuffer, FrameError> {
    if bits.len() != rows.div_ceil(8) {
        return Err(malformed("a bitmap does not have a bit for each row"));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

fn integers(
    column: &mut Column,
    rows: usize,
    present: usize,
    nulls: Option<&NullBuffer>,
) -> Result<ScalarBuffer<i64>, FrameError> {
    let mut values = std::mem::take(&mut column.deltas);
    let mut running = 0_i64;
    for value in &mut values {
        running = running.wrapping_add(*value);
        *value = running;
    }
    spread(values, rows, present, nulls)
}

fn floats(
    column: &mut Column,
    rows: usize,
    present: usize,
    nulls: Option<&NullBuffer>,
) -> Result<ScalarBuffer<f64>, FrameError> {
    let Some(exponent) = column.exponent else {
        return spread(std::mem::take(&mut column.doubles), rows, present, nulls);
    };
    if exponent > decimal::EXPONENT_MAX {
        return Err(malformed("an exponent is out of range"));
    }
    let mut running = 0_i64;
    let scale = |delta: i64| {
        running = running.wrapping_add(delta);
        decimal::value(running, exponent)
    };
    let values = std::mem::take(&mut column.deltas).into_iter().map(scale).collect();
    spread(values, rows, present, nulls)
}

/// Puts values to the rows that have one.
fn spread<T: arrow::datatypes::ArrowNativeType>(
    values: Vec<T>,
    rows: usize,
    present: usize,
    nulls: Option<&NullBuffer>,
) -> Result<ScalarBuffer<T>, FrameError> {
    if values.len() != present {
        return Err(malformed("a column does not have a value for each row"));
    }
    let Some(nulls) = nulls else { return Ok(values.into()) };
    let mut all = vec![T::default(); rows];
    for (row, value) in nulls.valid_indices().zip(values) {
        all[row] = value;
    }
    Ok(all.into())
}

fn texts(
    column: &mut Column,
    rows: usize,
    present: usize,
    nulls: Option<NullBuffer>,
    bytes_left: &mut u64,
) -> Result<StringArray, FrameError> {
    let starts = starts(&column.lengths, column.text.len())?;
    let lengths = value_lengths(column, &starts, present)?;
    let bytes: u64 = lengths.iter().map(|length| *length as u64).sum();
    at_most("bytes", bytes, (*bytes_left).min(i32::MAX as u64))?;
    *bytes_left -= bytes;
    let values = if column.ids.is_empty() {
        std::mem::take(&mut column.text).into_bytes()
    } else {
        let mut values = Vec::with_capacity(bytes as usize);
        for id in &column.ids {
            let id = *id as usize;
            values.extend_from_slice(&column.text.as_bytes()[starts[id]..starts[id + 1]]);
        }
        values
    };
    let offsets = match &nulls {
        None => OffsetBuffer::from_lengths(lengths),
        Some(nulls) => OffsetBuffer::from_lengths(spread_lengths(&lengths, rows, nulls)),
    };
    StringArray::try_new(offsets, Buffer::from_vec(values), nulls)
        .map_err(|_| malformed("a text is cut inside a character"))
}

/// Where each listed text begins in the whole, and where the last one ends.
fn starts(lengths: &[u32], text_bytes: usize) -> Result<Vec<usize>, FrameError> {
    let mut starts = Vec::with_capacity(lengths.len() + 1);
    let mut position = 0_usize;
    starts.push(position);
    for length in lengths {
        position = position.saturating_add(*length as usize);
        starts.push(position);
    }
    if position == text_bytes { Ok(starts) } else { Err(malformed("text and lengths do not agree")) }
}

/// The lengths of the values: as listed, or looked up by their ids.
fn value_lengths(column: &Column, starts: &[usize], present: usize) -> Result<Vec<usize>, FrameError> {
    let lengths: Vec<usize> = if column.ids.is_empty() {
        column.lengths.iter().map(|length| *length as usize).collect()
    } else {
        let length = |id: &u32| {
            let id = *id as usize;
            starts.get(id + 1).map(|end| end - starts[id])
        };
        let lengths: Option<Vec<usize>> = column.ids.iter().map(length).collect();
        lengths.ok_or(malformed("an id is not in its dictionary"))?
    };
    if lengths.len() == present {
        Ok(lengths)
    } else {
        Err(malformed("a column does not have a value for each row"))
    }
}

fn spread_lengths(lengths: &[usize], rows: usize, nulls: &NullBuffer) -> Vec<usize> {
    let mut all = vec![0; rows];
    for (row, length) in nulls.valid_indices().zip(lengths) {
        all[row] = *length;
    }
    all
}
