//! The order of rows in a file, and the columns that a file of a stream has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ahash::AHashMap;
use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{SortOptions, cast, interleave};
use arrow::datatypes::{Field, Schema, SchemaRef};
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
    let ranks = device_ranks(batches);
    let own_days = own_days(batches);
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (number, batch) in batches.iter().enumerate() {
        let (devices, times) = (devices_of(batch), times_of(batch));
        // Neighbours are often of one device.
        let mut last = (None, 0);
        for (row, ts) in times.iter().copied().enumerate() {
            let device = devices.filter(|devices| devices.is_valid(row)).map(|devices| devices.value(row));
            if device != last.0 {
                last = (device, device.map_or(0, |device| ranks[device]));
            }
            let day = Some(ts.div_euclid(DAY_US)).filter(|day| own_days.contains(day)).unwrap_or(MIXED);
            rows.push(Place { day, device: last.1, ts, batch: number as u32, row: row as u32 });
        }
    }
    rows.sort_unstable();
    let parts = rows.chunk_by(|left, right| left.day == right.day);
    let part =
        |rows: &[Place]| Ok(DayRows { day: day_name(rows[0].day), batch: gathered(batches, rows, schema)? });
    parts.map(part).collect()
}

/// A row by its place in the order of files; rows of one device and time stay in the order in which they came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    day: i64,
    device: u32,
    ts: i64,
    batch: u32,
    row: u32,
}

/// Numbers in the order of names, from 1; zero is for rows without a device.
fn device_ranks(batches: &[RecordBatch]) -> AHashMap<&str, u32> {
    let mut ranks = AHashMap::new();
    for devices in batches.iter().filter_map(devices_of) {
        let mut last = None;
        for device in devices.iter().flatten() {
            if last != Some(device) {
                ranks.insert(device, 0);
                last = Some(device);
            }
        }
    }
    let mut names: Vec<&str> = ranks.keys().copied().collect();
    names.sort_unstable();
    for (rank, name) in (1..).zip(names) {
        ranks.insert(name, rank);
    }
    ranks
}

fn devices_of(batch: &RecordBatch) -> Option<&StringArray> {
    batch.column_by_name(DEVICE_COLUMN).and_then(|column| column.as_string_opt())
}

fn times_of(batch: &RecordBatch) -> &[i64] {
    let times = batch.column_by_name(TS_COLUMN).and_then(|column| column.as_primitive_opt());
    times.map_or(&[], |times: &TimestampMicrosecondArray| times.values())
}

/// The rows in this order, as one batch.
fn gathered(batches: &[RecordBatch], rows: &[Place], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<(usize, usize)> =
        rows.iter().map(|place| (place.batch as usize, place.row as usize)).collect();
    let columns = (0..schema.fields().len()).map(|column| {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
        interleave(&parts, &rows)
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

const MIXED: i64 = i64::MAX;

/// The days that get a file of their own: all, or those with most rows when there are too many.
fn own_days(batches: &[RecordBatch]) -> HashSet<i64> {
    let mut counts = HashMap::<i64, usize>::new();
    for batch in batches {
        for same_day in
            times_of(batch).chunk_by(|left, right| left.div_euclid(DAY_US) == right.div_euclid(DAY_US))
        {
            *counts.entry(same_day[0].div_euclid(DAY_US)).or_default() += same_day.len();
        }
    }
    let mut by_rows: Vec<(i64, usize)> = counts.into_iter().collect();
    by_rows.sort_unstable_by_key(|(day, rows)| (std::cmp::Reverse(*rows), *day));
    by_rows.into_iter().take(DAYS_MAX).map(|(day, _)| day).collect()
}

fn day_name(day: i64) -> String {
    let time = springhouse_model::Timestamp(day.saturating_mul(DAY_US)).to_string();
    match time.split_once('T') {
        Some((date, _)) if day != MIXED => date.to_owned(),
        _ => "mixed".to_owned(),
    }
}
