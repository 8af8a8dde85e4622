//! The order of rows in a file, and the columns that a file of a stream has.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{SortColumn, SortOptions, cast, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use springhouse_schema::{DEVICE_COLUMN, TS_COLUMN};

/// Microseconds of a UTC day; Unix time has no leap seconds.
const DAY_US: i64 = 86_400_000_000;
/// Days that get a file of their own from one flush; a device with a broken clock can name any number of them.
const DAYS_MAX: usize = 32;

/// First by device, without a device first, then by event time. Queries of one device then read few pages.
pub(crate) const SORT: SortOptions = SortOptions { descending: false, nulls_first: true };

/// The columns of a stream as the lake keeps them: all but the time may be null, because older rows lack what a later
/// version requires.
pub(crate) fn lake_schema(schema: &springhouse_schema::Schema) -> SchemaRef {
    let arrow = schema.arrow();
    let columns = arrow.fields().iter().map(|field| {
        let nullable = field.name() != TS_COLUMN;
        Field::new(field.name(), field.data_type().clone(), nullable)
    });
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
}

/// Rows of any version under the columns of one: what is missing is null, whole numbers become fractions where the
/// type has widened.
pub(crate) fn conformed(batch: &RecordBatch, to: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == to {
        return Ok(batch.clone());
    }
    let columns = to.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    RecordBatch::try_new(Arc::clone(to), columns.collect::<Result<Vec<ArrayRef>, _>>()?)
}

/// The rows of one day, sorted.
pub(crate) struct DayRows {
    /// `2026-11-21`, or `mixed` for the days that did not get a file of their own.
    pub day: String,
    pub batch: RecordBatch,
}

/// Splits by UTC day of event time and sorts each part.
pub(crate) fn by_day(batches: &[RecordBatch], schema: &SchemaRef) -> Result<Vec<DayRows>, ArrowError> {
    let rows = concat_batches(schema, batches)?;
    let days = day_groups(&rows);
    let sort_column = |values: ArrayRef| SortColumn { values, options: Some(SORT) };
    let mut keys = vec![sort_column(Arc::new(days.clone()))];
    for name in [DEVICE_COLUMN, TS_COLUMN] {
        keys.extend(rows.column_by_name(name).cloned().map(sort_column));
    }
    let order = lexsort_to_indices(&keys, None)?;
    let sorted = taken(&rows, &order)?;
    let days = take(&days, &order, None)?;
    let days = days.as_primitive::<arrow::datatypes::Int64Type>().values();
    let mut parts = Vec::new();
    let mut start = 0;
    for same_day in days.chunk_by(|left, right| left == right) {
        parts.push(DayRows { day: day_name(same_day[0]), batch: sorted.slice(start, same_day.len()) });
        start += same_day.len();
    }
    Ok(parts)
}

const MIXED: i64 = i64::MAX;

/// The day of each row, or [`MIXED`] when there are too many days and this is one with few rows.
fn day_groups(rows: &RecordBatch) -> Int64Array {
    let times =
        rows.column_by_name(TS_COLUMN).map(|column| column.as_primitive::<TimestampMicrosecondType>());
    let values = times.map(|times| times.values().to_vec()).unwrap_or_default();
    let days: Vec<i64> = values.into_iter().map(|time| time.div_euclid(DAY_US)).collect();
    let mut counts = std::collections::HashMap::<i64, usize>::new();
    for day in &days {
        *counts.entry(*day).or_default() += 1;
    }
    if counts.len() <= DAYS_MAX {
        return Int64Array::from(days);
    }
    let mut by_rows: Vec<(i64, usize)> = counts.into_iter().collect();
    by_rows.sort_unstable_by_key(|(day, rows)| (std::cmp::Reverse(*rows), *day));
    let own: std::collections::HashSet<i64> = by_rows.iter().take(DAYS_MAX).map(|(day, _)| *day).collect();
    days.into_iter().map(|day| if own.contains(&day) { day } else { MIXED }).collect()
}

fn taken(rows: &RecordBatch, order: &UInt32Array) -> Result<RecordBatch, ArrowError> {
    let columns = rows.columns().iter().map(|column| take(column, order, None));
    RecordBatch::try_new(rows.schema(), columns.collect::<Result<Vec<_>, _>>()?)
}

fn day_name(day: i64) -> String {
    let time = springhouse_model::Timestamp(day.saturating_mul(DAY_US)).to_string();
    match time.split_once('T') {
        Some((date, _)) if day != MIXED => date.to_owned(),
        _ => "mixed".to_owned(),
    }
}
