//! The rows of a record, for all that read it.

use std::cell::OnceCell;

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::{max, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Kind, Record};
use springhouse_meta::StreamEntry;
use springhouse_schema::{Schema, TS_COLUMN, adapt};

use super::EngineError;
use crate::RunError;
use crate::plan::Devices;

/// A record that is decoded once, and put into the columns of each version of its schema once, however many pipelines
/// read it.
pub(in crate::hub) struct Rows<'a> {
    record: &'a Record,
    /// By version of the schema. Pipelines that were created at different times may read different ones.
    known: Vec<(u32, RecordBatch)>,
    summary: OnceCell<Option<Summary>>,
}

/// What a pipeline has to know of a record that does not matter to it.
pub(in crate::hub) struct Summary {
    pub(in crate::hub) rows: usize,
    /// The largest event time.
    pub(in crate::hub) latest: i64,
    pub(in crate::hub) devices: Devices,
}

impl<'a> Rows<'a> {
    pub(in crate::hub) fn of(record: &'a Record) -> Rows<'a> {
        Rows { record, known: Vec::new(), summary: OnceCell::new() }
    }

    pub(in crate::hub) fn record(&self) -> &'a Record {
        self.record
    }

    /// Does the work that all readers need. Why it cannot be done is told to those who read it.
    pub(in crate::hub) fn decode(&self) {
        if self.record.kind == Kind::Readings {
            let _ = self.record.batch();
        }
    }

    /// `None` for a record that cannot be read, which its reader finds out for itself, and for one without rows.
    pub(in crate::hub) fn summary(&self) -> Option<&Summary> {
        let summarized = self.summary.get_or_init(|| {
            let batch = self.record.batch().ok()?;
            let times = batch.column_by_name(TS_COLUMN)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(Summary { rows: batch.num_rows(), latest: max(times)?, devices: Devices::of(&batch) })
        });
        summarized.as_ref()
    }

    /// The rows in the columns that a plan was made for. The rows of devices stand by partition, which says nothing about when
    /// they happened; by time, a record adds no disorder of its own, and the order is still a function of the log alone. What
    /// a pipeline gave is one span and keeps its order: that is a function of the log that the pipeline read, and how much of
    /// it stands in one record is not.
    pub(in crate::hub) fn read_as(
        &mut self,
        source: &StreamEntry,
        schema: &Schema,
    ) -> Result<RecordBatch, EngineError> {
        if let Some((_, batch)) = self.known.iter().find(|(version, _)| *version == schema.version) {
            return Ok(batch.clone());
        }
        let record = self.record;
        let damaged = |why: String| EngineError::Record {
            offset: record.offset.0,
            stream: source.key.name.clone(),
            why,
        };
        let batch = record.batch().map_err(|error| damaged(error.to_string()))?;
        let batch = adapt(&batch, schema).map_err(|error| damaged(error.to_string()))?;
        let batch = if record.spans.len() > 1 { by_time(batch)? } else { batch };
        self.known.push((schema.version, batch.clone()));
        Ok(batch)
    }
}

fn by_time(batch: RecordBatch) -> Result<RecordBatch, RunError> {
    let Some(times) = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>() else {
        return Ok(batch);
    };
    let times = times.values();
    if times.is_sorted() {
        return Ok(batch);
    }
    let mut order: Vec<u32> = (0..times.len() as u32).collect();
    order.sort_by_key(|row| times[*row as usize]);
    Ok(take_record_batch(&batch, &UInt32Array::from(order))?)
}
