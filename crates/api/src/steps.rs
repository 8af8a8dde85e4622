//! What the steps of a pipeline hand on.

use serde::Serialize;
use serde_json::value::RawValue;
use springhouse_engine::SeenStep;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::rows::{ColumnView, columns_of, raw_rows};

/// A step, and what it has handed on.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepView {
    /// read, filter, project, window, aggregate, order, over, join or match
    #[schema(example = "filter")]
    step: &'static str,
    /// What it does, as EXPLAIN PIPELINE says it.
    #[schema(example = "power > 1000")]
    detail: String,
    /// Rows that it has handed on.
    handed_on: u64,
    /// Empty when there were none.
    columns: Vec<ColumnView>,
    /// The last of them, oldest first.
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Box<RawValue>,
}

impl StepView {
    pub(crate) fn of(seen: SeenStep) -> Result<StepView, Problem> {
        Ok(StepView {
            step: seen.step,
            detail: seen.detail,
            handed_on: seen.rows,
            columns: seen.schema.as_deref().map(columns_of).unwrap_or_default(),
            rows: raw_rows(&seen.batches, usize::MAX)?,
        })
    }
}

pub(crate) fn step_views(steps: Vec<SeenStep>) -> Result<Vec<StepView>, Problem> {
    steps.into_iter().map(StepView::of).collect()
}
