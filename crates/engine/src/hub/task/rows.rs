//! The rows of a record, for all that read it.

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use springhouse_log::{Kind, Record};
use springhouse_meta::StreamEntry;
use springhouse_schema::{Schema, adapt};

use super::EngineError;
use crate::RunError;

/// A record that is decoded once, and put into the columns of each version of its schema once, however many pipelines
/// read it.
pub(in crate::hub) struct Rows<'a> {
    record: &'a Record,
    /// By version of the schema. Pipelines that were created at different times may read different ones.
    known: Vec<(u32, RecordBatch)>,
}

impl<'a> Rows<'a> {
    pub(in crate::hub) fn of(record: &'a Record) -> Rows<'a> {
        Rows { record, known: Vec::new() }
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

    /// The rows in the columns that a plan was made for. The log orders the rows of one append by partition, which says
    /// nothing about when they happened; by time, a record adds no disorder of its own, and the order is still a function of
    /// the log alone.
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
