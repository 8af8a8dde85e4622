//! Rows that become several, one for each time in a list.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::logical_plan::Unnest;

use super::PlanError;
use super::chain::Chain;
use super::compile::{Compiler, Meaning, Step};
use super::resample::{Grid, unnested_grid};

/// Gives a row for each time of a grid that follows from a row.
#[derive(Clone, Debug)]
pub(crate) struct SpreadStep {
    /// The list of times.
    pub(crate) column: usize,
    pub(crate) step_us: i64,
    pub(crate) gap_us: i64,
    pub(crate) schema: SchemaRef,
}

/// The grid of INTERPOLATE and LOCF. Other lists are not unnested.
pub(super) fn grid(unnest: &Unnest) -> Result<(usize, Grid), PlanError> {
    let grid = match unnest.list_type_columns.as_slice() {
        [(column, _)] => unnested_grid(&unnest.input, *column).map(|grid| (*column, grid)),
        _ => None,
    };
    grid.ok_or_else(|| {
        PlanError::new("UNNEST is not available in pipelines")
            .with_hint("INTERPOLATE(stream, ts, step, gap, key) gives rows at even times")
    })
}

impl Compiler<'_> {
    pub(super) fn spread(&self, unnest: &Unnest) -> Result<Chain, PlanError> {
        let (column, Grid { step_us, gap_us, .. }) = grid(unnest)?;
        let mut chain = self.chain(&unnest.input)?;
        // A time of the grid is behind that of the row that it follows from.
        chain.meanings[column] = Meaning::Behind { behind_us: gap_us, side: None };
        (chain.in_order, chain.matched) = (false, true);
        (chain.behind_us, chain.is_bounded_behind) = (gap_us, true);
        let schema = Arc::new(unnest.schema.as_arrow().clone());
        chain.push(Step::Spread(SpreadStep { column, step_us, gap_us, schema }));
        Ok(chain)
    }
}
