//! Puts the row of a table beside each row. It keeps nothing: the rows of the table are shared with everybody who looks
//! them up, and which version of them holds is told from outside, between two batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take;
use springhouse_model::StreamName;

use super::broken::{booleans, evaluate};
use super::rowwise::with_row_count;
use super::{Chunk, Operator, Outbox, Side};
use crate::RunError;
use crate::plan::LookupStep;
use crate::tables::TableRows;

/// Rows are given in pieces of this many: the texts of a table, 16 KiB at most, are written into each.
const ROWS: usize = 4_096;

pub(super) struct Lookup {
    step: Arc<LookupStep>,
    /// `None` before the first version: nothing is found then.
    rows: Option<Arc<TableRows>>,
}

impl Lookup {
    pub fn new(step: Arc<LookupStep>) -> Lookup {
        Lookup { step, rows: None }
    }

    fn piece(&self, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let keys = self.step.keys.of(&chunk.batch)?;
        let times = chunk.times.values();
        let find = |row: usize| self.rows.as_ref()?.find(keys.shared(row)?, times[row]);
        let mut found: UInt32Array = (0..chunk.batch.num_rows()).map(find).collect();
        if let Some(condition) = &self.step.condition {
            let count = chunk.batch.num_rows();
            let pairs = with_row_count(&self.step.pair, self.columns(&chunk, &found, true)?, count)?;
            let holds = booleans(&evaluate(condition, &pairs)?)?;
            found = found.iter().enumerate().map(|(row, found)| found.filter(|_| holds.value(row))).collect();
        }
        let mut chunk = chunk;
        if !self.step.keeps_alone && found.null_count() > 0 {
            let kept: BooleanArray = found.iter().map(|found| Some(found.is_some())).collect();
            chunk = chunk.filter(&kept)?;
            found = found.iter().flatten().collect();
        }
        if !found.is_empty() {
            let columns = self.columns(&chunk, &found, false)?;
            let batch = with_row_count(&self.step.schema, columns, found.len())?;
            out.chunks.push(chunk.with_batch(batch));
        }
        Ok(())
    }

    /// The columns of the rows and of what they have found; with those that only conditions need.
    fn columns(&self, chunk: &Chunk, found: &UInt32Array, all: bool) -> Result<Vec<ArrayRef>, RunError> {
        let mut columns = chunk.batch.columns().to_vec();
        let given = self.step.schema.fields().len() - columns.len();
        let count = if all { self.step.columns.len() } else { given };
        for column in &self.step.columns[..count] {
            columns.push(match &self.rows {
                Some(rows) => take(rows.batch().column(*column), found, None)?,
                None => {
                    let field = self.step.table.definition.schema().field(*column);
                    arrow::array::new_null_array(field.data_type(), found.len())
                }
            });
        }
        Ok(columns)
    }
}

impl Operator for Lookup {
    fn on_batch(&mut self, _side: Side, chunk: Chunk, out: &mut Outbox) -> Result<(), RunError> {
        let count = chunk.batch.num_rows();
        for from in (0..count).step_by(ROWS) {
            self.piece(chunk.slice(from, ROWS.min(count - from)), out)?;
        }
        Ok(())
    }

    fn look_up(&mut self, table: &StreamName, rows: &Arc<TableRows>) {
        if *table == self.step.table.name {
            self.rows = Some(Arc::clone(rows));
        }
    }
}
