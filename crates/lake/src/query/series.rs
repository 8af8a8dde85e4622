//! A property of one device over time, thinned out for a chart.
//!
//! The rows are asked of the same scan that a SELECT uses, but folded here: the manifest and the page statistics leave
//! a few pages of one or two files, and no plan has to be made for the rest.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use springhouse_meta::StreamEntry;
use springhouse_model::{DeviceId, StreamKey, StreamName, TenantId, Timestamp};
use springhouse_schema::{DEVICE_COLUMN, TS_COLUMN};

use super::run::{Limits, QueryResult, begun, run};
use super::scan::StreamScan;
use crate::LakeError;
use crate::keeper::Shared;
use crate::sorted::lake_schema;

/// More than the widest screen can show; the buckets are in memory before the first row is.
const POINTS_MAX: u32 = 20_000;

/// Which property, and how finely.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub stream: StreamName,
    pub property: String,
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// Buckets at most, and no more than 20,000.
    pub points: u32,
}

/// Columns of one length; a bucket without a value is left out. `None` where only values like NaN fell in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Milliseconds since 1970, the beginning of each bucket.
    pub ts: Vec<i64>,
    pub min: Vec<Option<f64>>,
    pub avg: Vec<Option<f64>>,
    pub max: Vec<Option<f64>>,
}

pub(crate) async fn series(shared: &Arc<Shared>, request: &SeriesRequest) -> Result<Series, LakeError> {
    let entry = stream_of(shared, &request.tenant, &request.stream)?;
    let missing = || LakeError::NoSuchProperty {
        stream: request.stream.to_string(),
        property: request.property.clone(),
    };
    let schema = lake_schema(&entry.schema);
    let field = schema.field_with_name(&request.property).map_err(|_| missing())?;
    if !matches!(field.data_type(), DataType::Float64 | DataType::Int64 | DataType::Boolean) {
        return Err(missing());
    }
    let filter = rows_between(request.from, request.to).and(is_device(&request.device));
    let mut rows = select(shared, &entry, filter, &[TS_COLUMN, &request.property]).await?.batches;
    let mut buckets = Buckets::new(request);
    while let Some(batch) = rows.next().await {
        buckets.add(&batch?)?;
    }
    Ok(buckets.finish())
}

/// The stream, if the tenant has it.
pub(super) fn stream_of(
    shared: &Shared,
    tenant: &TenantId,
    name: &StreamName,
) -> Result<Arc<StreamEntry>, LakeError> {
    let entry = shared.catalog.find(&StreamKey::new(tenant.clone(), name.clone()));
    entry.ok_or_else(|| LakeError::NoSuchStream { name: name.to_string() })
}

/// Columns of the rows for which the filter holds, in no order and without a limit of rows.
async fn select(
    shared: &Arc<Shared>,
    entry: &StreamEntry,
    filter: Expr,
    columns: &[&str],
) -> Result<QueryResult, LakeError> {
    let scan = scan_of(shared, entry);
    let session = SessionContext::new_with_state(shared.session.clone());
    let columns: Vec<Expr> = columns.iter().map(|name| Expr::Column((*name).into())).collect();
    let columns: Vec<Expr> = columns.into_iter().map(unnormalized).collect();
    let limits = Limits { time: shared.options.query_time, rows: usize::MAX };
    run(&shared.threads, limits, move |time| async move {
        let frame =
            session.read_table(Arc::new(scan)).and_then(|frame| frame.filter(filter)?.select(columns));
        begun(frame.map_err(LakeError::query)?, &time).await
    })
    .await
}

/// A column by its exact name; `"a.b".into()` would read a table in front of the dot.
fn unnormalized(expr: Expr) -> Expr {
    match expr {
        Expr::Column(column) => Expr::Column(datafusion::common::Column::new_unqualified(column.flat_name())),
        other => other,
    }
}

pub(super) fn scan_of(shared: &Shared, entry: &StreamEntry) -> StreamScan {
    StreamScan {
        schema: lake_schema(&entry.schema),
        view: shared.state.lock().view(entry.id),
        store: Arc::clone(&shared.storage.store),
    }
}

pub(super) fn time_literal(time: Timestamp) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(time.micros()), Some("UTC".into())))
}

/// `[from, to)`.
pub(super) fn rows_between(from: Timestamp, to: Timestamp) -> Expr {
    col(TS_COLUMN).gt_eq(time_literal(from)).and(col(TS_COLUMN).lt(time_literal(to)))
}

pub(super) fn is_device(device: &DeviceId) -> Expr {
    col(DEVICE_COLUMN).eq(lit(device.as_str()))
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    min: f64,
    max: f64,
    sum: f64,
    count: u64,
}

/// Equal steps of time from `from` on; aligned to the step, so that a chart that moves does not flicker.
struct Buckets {
    start: i64,
    step_us: i64,
    buckets: Vec<Bucket>,
}

impl Buckets {
    fn new(request: &SeriesRequest) -> Buckets {
        let (from, to) = (request.from.micros(), request.to.micros());
        let points = i64::from(request.points.clamp(1, POINTS_MAX));
        let span = to.saturating_sub(from).max(1);
        let step_us = (span / points + i64::from(span % points != 0)).max(1);
        let start = from.saturating_sub(from.rem_euclid(step_us));
        let count = (to.saturating_sub(start) / step_us).saturating_add(1);
        let count = usize::try_from(count).unwrap_or_default();
        Buckets { start, step_us, buckets: vec![Bucket::default(); count] }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let values = cast(batch.column(1), &DataType::Float64).map_err(LakeError::arrow("read a series"))?;
        let values: &Float64Array = values.as_primitive();
        for (row, time) in times.values().iter().enumerate() {
            if values.is_null(row) || values.value(row).is_nan() {
                continue;
            }
            let value = values.value(row);
            let place = usize::try_from(time.saturating_sub(self.start) / self.step_us).unwrap_or(usize::MAX);
            if let Some(bucket) = self.buckets.get_mut(place) {
                let is_first = bucket.count == 0;
                bucket.min = if is_first { value } else { bucket.min.min(value) };
                bucket.max = if is_first { value } else { bucket.max.max(value) };
                bucket.sum += value;
                bucket.count += 1;
            }
        }
        Ok(())
    }

    fn finish(self) -> Series {
        let mut series = Series::default();
        let filled = self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.count > 0);
        for (place, bucket) in filled {
            let finite = |value: f64| value.is_finite().then_some(value);
            series.ts.push((self.start + place as i64 * self.step_us).div_euclid(1_000));
            series.min.push(finite(bucket.min));
            // A sum of equal numbers is off by a last bit, and a counter must not seem to run backwards.
            let average = (bucket.sum / bucket.count as f64).max(bucket.min).min(bucket.max);
            series.avg.push(finite(average));
            series.max.push(finite(bucket.max));
        }
        series
    }
}
