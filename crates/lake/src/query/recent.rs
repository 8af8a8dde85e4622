//! The latest rows of a stream, newest first.
//!
//! Sorting a month to show a hundred rows would be waste: the search begins with the last minutes and goes further
//! back only when they do not hold enough.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::{Expr, col};
use datafusion::prelude::SessionContext;
use springhouse_model::{DeviceId, StreamName, TenantId, Timestamp};
use springhouse_schema::TS_COLUMN;

use super::run::{Limits, QueryRows, begun, run};
use super::series::{is_device, rows_between, scan_of, stream_of, time_literal};
use crate::LakeError;
use crate::keeper::Shared;

/// How far back to look, one after the other, before everything is looked at.
const SPANS_US: [i64; 3] = [600_000_000, 21_600_000_000, 259_200_000_000];

/// Which rows.
#[derive(Clone, Debug)]
pub struct RowsFilter {
    pub tenant: TenantId,
    pub stream: StreamName,
    pub device: Option<DeviceId>,
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
}

pub(crate) async fn recent(
    shared: &Arc<Shared>,
    filter: &RowsFilter,
    limit: usize,
) -> Result<QueryRows, LakeError> {
    let entry = stream_of(shared, &filter.tenant, &filter.stream)?;
    let newest = newest(shared, entry.id);
    let to = filter.to.unwrap_or(Timestamp(i64::MAX));
    let from = filter.from.unwrap_or(Timestamp(i64::MIN));
    let until = newest.min(to);
    for span_us in SPANS_US {
        let since = until.plus_micros(-span_us);
        if since <= from {
            break;
        }
        let rows = latest(shared, &entry, filter, (since, to), limit).await?;
        if rows.row_count >= limit {
            return Ok(rows);
        }
    }
    latest(shared, &entry, filter, (from, to), limit).await
}

/// The event time of the newest row.
fn newest(shared: &Shared, stream: u32) -> Timestamp {
    let view = shared.state.lock().view(stream);
    let in_files = view.files.iter().map(|file| file.max_ts).max();
    let in_memory = view.chunks.iter().filter_map(|chunk| latest_time(&chunk.batch));
    in_memory.chain(in_files).max().unwrap_or_default()
}

fn latest_time(batch: &RecordBatch) -> Option<Timestamp> {
    let times = batch.column_by_name(TS_COLUMN)?.as_primitive::<TimestampMicrosecondType>();
    arrow::compute::max(times).map(Timestamp)
}

async fn latest(
    shared: &Arc<Shared>,
    entry: &springhouse_meta::StreamEntry,
    filter: &RowsFilter,
    (from, to): (Timestamp, Timestamp),
    limit: usize,
) -> Result<QueryRows, LakeError> {
    let mut wanted: Expr = if to.micros() == i64::MAX {
        col(TS_COLUMN).gt_eq(time_literal(from))
    } else {
        rows_between(from, to)
    };
    if let Some(device) = &filter.device {
        wanted = wanted.and(is_device(device));
    }
    let scan = scan_of(shared, entry);
    let session = SessionContext::new_with_state(shared.session.clone());
    let limits = Limits { time: shared.options.query_time, rows: limit };
    let result = run(&shared.threads, limits, move |time| async move {
        let frame = session.read_table(Arc::new(scan)).and_then(|frame| {
            frame.filter(wanted)?.sort(vec![col(TS_COLUMN).sort(false, false)])?.limit(0, Some(limit))
        });
        begun(frame.map_err(LakeError::query)?, &time).await
    });
    result.await?.collect().await
}
