//! The rows that wait in builders, detached from the plan that filled them.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::Origin;
use super::builder::{Column, OptionalText, OptionalTime, ROWS_INITIAL, time_array};
use super::plan::Plan;
use crate::Field;

/// What a row takes in the system columns besides its texts: two times, three text ends, a partition, null bits.
const SYSTEM_BYTES_PER_ROW: usize = 32;

/// Rows of one version of one stream, in the order of arrival.
#[derive(Debug, Default)]
pub struct Rows {
    built: Option<Built>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Built {
    schema: SchemaRef,
    ts: Vec<i64>,
    device: OptionalText,
    site: OptionalText,
    pub columns: Vec<Column>,
    received: OptionalTime,
    id: OptionalText,
    partitions: Vec<u8>,
}

impl Rows {
    /// Makes room for as many rows as `expected`, and for a few in any case.
    #[inline]
    pub(super) fn prepare(&mut self, plan: &Plan, expected: usize) -> &mut Built {
        self.built.get_or_insert_with(|| Built::new(plan, expected.max(ROWS_INITIAL)))
    }

    pub fn len(&self) -> usize {
        self.built.as_ref().map_or(0, |built| built.ts.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Estimate of the memory that the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn count_bytes(&mut self, origin: &Origin<'_>, payload: usize, rows: usize) {
        let texts =
            [origin.device, origin.site, origin.id].iter().flatten().map(|text| text.len()).sum::<usize>();
        let columns = self.built.as_ref().map_or(0, |built| built.columns.len());
        self.bytes += payload + rows * (SYSTEM_BYTES_PER_ROW + texts + columns * size_of::<f64>());
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if let Some(built) = &mut self.built {
            built.truncate(len);
        }
    }

    /// The batch, and the partition of each of its rows.
    pub fn finish(self) -> Result<(RecordBatch, Vec<u8>), ArrowError> {
        match self.built {
            Some(built) => built.finish(),
            None => Err(ArrowError::InvalidArgumentError("no rows were ever prepared".to_owned())),
        }
    }
}

impl Built {
    fn new(plan: &Plan, rows: usize) -> Built {
        let column = |field: &Field| Column::new(field.ty, field.required, rows);
        Built {
            schema: plan.arrow(),
            ts: Vec::with_capacity(rows),
            device: OptionalText::new(rows),
            site: OptionalText::new(rows),
            columns: plan.schema().fields.iter().map(column).collect(),
            received: OptionalTime::new(rows),
            id: OptionalText::new(rows),
            partitions: Vec::with_capacity(rows),
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Ends a row: its system columns. Properties without a value are filled in later.
    #[inline]
    pub fn push(
        &mut self,
        ts: i64,
        device: Option<&str>,
        site: Option<&str>,
        origin: &Origin<'_>,
        partition: u8,
    ) {
        self.ts.push(ts);
        self.device.push(device);
        self.site.push(site);
        self.received.push(origin.received.map(|time| time.micros()));
        self.id.push(origin.id);
        self.partitions.push(partition);
    }

    fn truncate(&mut self, len: usize) {
        self.ts.truncate(len);
        self.device.truncate(len);
        self.site.truncate(len);
        // Columns may be one row ahead of the others: the message broke within a row.
        self.columns.iter_mut().for_each(|column| column.truncate(len));
        self.received.truncate(len);
        self.id.truncate(len);
        self.partitions.truncate(len);
    }

    fn finish(self) -> Result<(RecordBatch, Vec<u8>), ArrowError> {
        let rows = self.ts.len();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 5);
        arrays.push(time_array(self.ts, None)?);
        arrays.push(self.device.finish()?);
        arrays.push(self.site.finish()?);
        for column in self.columns {
            arrays.push(column.finish(rows)?);
        }
        arrays.push(self.received.finish()?);
        arrays.push(self.id.finish()?);
        Ok((RecordBatch::try_new(self.schema, arrays)?, self.partitions))
    }
}
