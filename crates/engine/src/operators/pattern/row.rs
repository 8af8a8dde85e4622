//! The rows of a chunk as a pattern sees them: what can be judged without a match is judged for all of them at once.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::common::{DataFusionError, ScalarValue};

use super::slot::Slot;
use crate::RunError;
use crate::operators::broken::{booleans, evaluate};
use crate::operators::rowwise::with_row_count;
use crate::plan::pattern::{Condition, PatternStep};

/// The rows of a chunk.
pub(super) struct Rows {
    /// The columns of the input and those of previous rows.
    batch: RecordBatch,
    /// For each variable whether it takes each row; `None` when that depends on the match.
    judged: Vec<Option<BooleanArray>>,
    kept: Vec<ArrayRef>,
    /// Rows for which a condition that depends on the match had no value, and why.
    broken: RefCell<BTreeMap<usize, DataFusionError>>,
}

impl Rows {
    pub fn judge(step: &PatternStep, batch: RecordBatch) -> Result<Rows, RunError> {
        let rows = batch.num_rows();
        let judged = step.conditions.iter().map(|condition| match condition {
            Condition::Always => Ok(Some(BooleanArray::from(vec![true; rows]))),
            Condition::OfMatch(_) => Ok(None),
            Condition::OfRow(expr) => Ok(Some(booleans(&evaluate(expr, &batch)?)?)),
        });
        let judged = judged.collect::<Result<Vec<_>, RunError>>()?;
        let kept = step.kept.iter().map(|expr| evaluate(expr, &batch));
        let kept = kept.collect::<Result<Vec<_>, RunError>>()?;
        Ok(Rows { batch, judged, kept, broken: RefCell::default() })
    }

    /// Rows that a condition could not judge, each once.
    pub fn into_broken(self) -> BTreeMap<usize, DataFusionError> {
        self.broken.into_inner()
    }

    pub fn row(&self, index: usize, time: i64) -> Row<'_> {
        Row { rows: self, index, time, kept: OnceCell::new(), alone: OnceCell::new() }
    }
}

/// One of them, on offer to the attempts of its partition.
pub(super) struct Row<'a> {
    rows: &'a Rows,
    index: usize,
    pub time: i64,
    /// Read when the first variable takes it.
    kept: OnceCell<Vec<ScalarValue>>,
    /// The row as a batch, for the conditions that depend on the match.
    alone: OnceCell<RecordBatch>,
}

impl Row<'_> {
    /// Whether a variable takes it, if that depends on the row alone.
    pub fn is_taken_by(&self, variable: usize) -> Option<bool> {
        self.rows.judged.get(variable)?.as_ref().map(|judged| judged.value(self.index))
    }

    /// Whether a variable takes it when the match has the state that the row, taken by it, has brought about.
    pub fn is_taken_after(
        &self,
        step: &PatternStep,
        variable: usize,
        slots: &[Slot],
    ) -> Result<bool, RunError> {
        let Some(Condition::OfMatch(expr)) = step.conditions.get(variable) else { return Ok(true) };
        let alone = self.alone.get_or_init(|| self.rows.batch.slice(self.index, 1));
        let mut columns = alone.columns().to_vec();
        for (number, (slot, term)) in slots.iter().zip(&step.terms).enumerate() {
            let value = match step.deciding.binary_search(&number) {
                Ok(_) => slot.value(term, &step.variables, self.time)?,
                Err(_) => ScalarValue::try_from(&term.ty)?,
            };
            columns.push(value.to_array()?);
        }
        let batch = with_row_count(&step.condition_schema, columns, 1)?;
        match evaluate(expr, &batch) {
            Ok(judged) => Ok(booleans(&judged)?.value(0)),
            Err(RunError::Row(error)) => {
                self.rows.broken.borrow_mut().entry(self.index).or_insert(error);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// What is kept of it.
    pub fn kept(&self) -> Result<&[ScalarValue], RunError> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let values = self.rows.kept.iter().map(|array| ScalarValue::try_from_array(array, self.index));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(self.kept.get_or_init(|| values))
    }
}
