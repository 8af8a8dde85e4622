//! Results of windows that are open, at every line of event time that the watermark comes to.
//!
//! ```text
//! rows  ──●──●───────●──────●──────────●──▶  taken in, each with the watermark that it brings about
//! lines ──┼───────┼───────┼───────┼───────▶  due: the first line behind that watermark, since the last results
//!                 ▲ what there is so far  ▲ and what has changed since, the results before taken back
//! ```
//! A row that brings time to the line is not in the result. Which line is due follows from the rows and not from when the
//! watermark was told, which depends on how they are cut into batches.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};

use super::Chunk;
use super::rowwise::with_row_count;
use crate::RunError;
use crate::plan::AggregateStep;

pub(super) struct EarlyResults {
    step: Arc<AggregateStep>,
    every_us: i64,
    /// What has been given of open windows, by their end.
    given: BTreeMap<i64, RecordBatch>,
    /// The line at which something is to be given next.
    due: Option<i64>,
}

impl EarlyResults {
    /// `None` for windows that give their result when they close and not before.
    pub(super) fn of(step: &Arc<AggregateStep>) -> Option<EarlyResults> {
        let every_us = step.early.as_ref()?.every_us;
        Some(EarlyResults { step: Arc::clone(step), every_us, given: BTreeMap::new(), due: None })
    }

    /// The number of the line that time has come to.
    pub(super) fn line(&self, passed: i64) -> i64 {
        passed.div_euclid(self.every_us)
    }

    pub(super) fn due(&self) -> Option<i64> {
        self.due
    }

    /// A row has been taken in, with which time has come to `passed`.
    pub(super) fn note(&mut self, passed: i64) {
        if self.due.is_none() {
            self.due = Some(self.line(passed).saturating_add(1).saturating_mul(self.every_us));
        }
    }

    /// The line that is due when time comes to `passed`; from then on none is, until rows come.
    pub(super) fn take_due(&mut self, passed: i64) -> Option<i64> {
        self.due.take_if(|due| *due <= passed)
    }

    /// The result of a window as it stands at a line; `None` when it is the one that was given before.
    pub(super) fn change(
        &mut self,
        end: i64,
        columns: Vec<ArrayRef>,
        rows: usize,
        line: i64,
    ) -> Result<Option<Chunk>, RunError> {
        let result = with_row_count(self.schema()?, columns, rows)?;
        let chunk = self.chunk(self.given.get(&end), &result, line, false)?;
        self.given.insert(end, result);
        Ok(Some(chunk).filter(|chunk| chunk.batch.num_rows() > 0))
    }

    /// The last result of a window.
    pub(super) fn close(&mut self, end: i64, columns: Vec<ArrayRef>, rows: usize) -> Result<Chunk, RunError> {
        let before = self.given.remove(&end);
        let result = with_row_count(self.schema()?, columns, rows)?;
        self.chunk(before.as_ref(), &result, end, true)
    }

    /// Rows that take the result before back, each beside the one that takes its place.
    fn chunk(
        &self,
        before: Option<&RecordBatch>,
        result: &RecordBatch,
        time: i64,
        is_final: bool,
    ) -> Result<Chunk, RunError> {
        let nothing = RecordBatch::new_empty(result.schema());
        let before = before.unwrap_or(&nothing);
        let keys = self.step.groups.len();
        let known = rows_of(&before.columns()[..keys])?;
        let known: HashMap<OwnedRow, usize> =
            known.iter().zip(0..).map(|(key, row)| (key.owned(), row)).collect();
        let here = rows_of(&result.columns()[..keys])?;
        let (whole_before, whole) = (rows_of(before.columns())?, rows_of(result.columns())?);
        let (mut from, mut diffs, mut finals) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..result.num_rows() {
            let earlier = known.get(&here.row(row).owned()).copied();
            if !is_final && earlier.is_some_and(|earlier| whole_before.row(earlier) == whole.row(row)) {
                continue;
            }
            if let Some(earlier) = earlier {
                from.push((0, earlier));
                diffs.push(-1);
                finals.push(false);
            }
            from.push((1, row));
            diffs.push(1);
            finals.push(is_final);
        }
        let columns = before.columns().iter().zip(result.columns());
        let columns = columns.map(|(before, result)| interleave(&[before.as_ref(), result.as_ref()], &from));
        let mut columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        columns.push(Arc::new(Int64Array::from(diffs)));
        columns.push(Arc::new(BooleanArray::from(finals)));
        let times = TimestampMicrosecondArray::from_value(time, from.len());
        let batch = with_row_count(&self.step.schema, columns, from.len())?;
        Ok(Chunk { batch, times, lineage: None })
    }

    fn schema(&self) -> Result<&arrow::datatypes::SchemaRef, RunError> {
        let early = self.step.early.as_ref();
        early.map(|early| &early.rows).ok_or(RunError::State { what: "its windows give no early results" })
    }

    /// What is due, and how many parts of a snapshot are not of it; then what has been given.
    pub(super) fn state(&self, others: usize) -> Result<Vec<(i64, RecordBatch)>, RunError> {
        let schema = Arc::new(Schema::new(vec![Field::new("others", DataType::Int64, false)]));
        let others: ArrayRef = Arc::new(Int64Array::from_value(others as i64, 1));
        let head = with_row_count(&schema, vec![others], 1)?;
        let mut parts = vec![(self.due.unwrap_or(i64::MIN), head)];
        parts.extend(self.given.iter().map(|(end, batch)| (*end, batch.clone())));
        Ok(parts)
    }

    /// Takes its parts out of those of a snapshot.
    pub(super) fn restore(&mut self, parts: &mut Vec<(i64, RecordBatch)>) -> Result<(), RunError> {
        const WRONG: RunError = RunError::State { what: "it is not that of windows with early results" };
        let (due, head) = parts.first().ok_or(WRONG)?;
        self.due = Some(*due).filter(|due| *due != i64::MIN);
        let others = head.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        let others = others.and_then(|others| others.values().first().copied()).ok_or(WRONG)?;
        let at = usize::try_from(others).ok().and_then(|others| others.checked_add(1)).ok_or(WRONG)?;
        if at > parts.len() {
            return Err(WRONG);
        }
        let given = parts.split_off(at);
        parts.remove(0);
        for (_, batch) in &given {
            super::slice::check_columns(&batch.schema(), self.schema()?)?;
        }
        self.given = given.into_iter().collect();
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.given.values().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// Columns as rows that can be compared.
fn rows_of(columns: &[ArrayRef]) -> Result<Rows, RunError> {
    Ok(converter(columns.iter().map(|column| column.data_type()))?.convert_columns(columns)?)
}

fn converter<'a>(types: impl Iterator<Item = &'a DataType>) -> Result<RowConverter, RunError> {
    Ok(RowConverter::new(types.map(|ty| SortField::new(ty.clone())).collect())?)
}

/// Whether results of these columns can be told from each other.
pub(super) fn check(schema: &Schema) -> Result<(), RunError> {
    converter(schema.fields().iter().map(|field| field.data_type())).map(drop)
}
