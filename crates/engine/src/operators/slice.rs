//! The groups of a time that several windows may share: taken in as they come, put into windows when these close.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::pane::{Inputs, Pane, state_schema};
use crate::RunError;
use crate::plan::AggregateStep;

/// At least one of the two is there.
#[derive(Default)]
pub(super) struct Slice {
    /// Takes rows in. What has been asked for its state takes no more.
    live: Option<Pane>,
    /// What live panes of before have left, as it merges into any pane.
    sealed: Option<RecordBatch>,
}

impl Slice {
    pub(super) fn update(&mut self, step: &AggregateStep, inputs: &Inputs) -> Result<(), RunError> {
        let live = match &mut self.live {
            Some(live) => live,
            None => self.live.insert(Pane::new(step, &step.key_schema)?),
        };
        live.update(inputs)
    }

    /// Everything as one batch; stays in the slice.
    pub(super) fn seal(&mut self, step: &AggregateStep) -> Result<Option<&RecordBatch>, RunError> {
        if self.live.is_some() {
            self.sealed = Some(std::mem::take(self).into_pane(step)?.state(step)?);
        }
        Ok(self.sealed.as_ref())
    }

    /// Takes everything out as a pane that can be closed.
    pub(super) fn into_pane(self, step: &AggregateStep) -> Result<Pane, RunError> {
        let Slice { live, sealed } = self;
        let Some(sealed) = sealed else {
            return live.map_or_else(|| Pane::new(step, &step.key_schema), Ok);
        };
        // In the order in which rows came: for some functions the first one counts.
        let mut pane = Pane::new(step, &step.key_schema)?;
        pane.merge(step, &sealed)?;
        if let Some(live) = live {
            pane.merge(step, &live.state(step)?)?;
        }
        Ok(pane)
    }

    /// A slice as [`Slice::seal`] gave it.
    pub(super) fn restored(step: &AggregateStep, sealed: RecordBatch) -> Result<Slice, RunError> {
        let expected = state_schema(step, &step.key_schema)?;
        check_columns(&sealed.schema(), &expected)?;
        Ok(Slice { live: None, sealed: Some(sealed) })
    }

    pub(super) fn bytes(&self) -> usize {
        self.live.as_ref().map_or(0, Pane::bytes)
            + self.sealed.as_ref().map_or(0, RecordBatch::get_array_memory_size)
    }
}

/// A state of another query must not be taken for one of this.
pub(super) fn check_columns(found: &Schema, expected: &Schema) -> Result<(), RunError> {
    match found.fields() == expected.fields() {
        true => Ok(()),
        false => Err(RunError::State { what: "the columns are not those of this query" }),
    }
}
