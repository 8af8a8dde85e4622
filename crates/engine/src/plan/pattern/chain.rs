//! A pattern as a step of a pipeline.

use std::sync::Arc;

use arrow::datatypes::Schema as ArrowSchema;
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::{Expr, UserDefinedLogicalNodeCore};

use super::{PatternNode, PatternStep};
use crate::operators;
use crate::plan::PlanError;
use crate::plan::chain::Chain;
use crate::plan::compile::{Meaning, Step};

impl Chain {
    /// Puts rows in order and finds matches among them.
    pub(in crate::plan) fn find_matches(
        &mut self,
        node: &PatternNode,
        props: &ExecutionProps,
    ) -> Result<(), PlanError> {
        if self.aggregated || self.matched || self.window.is_some() {
            return Err(PlanError::new(
                "MATCH_RECOGNIZE over windows or other matches is not available in one query",
            )
            .with_hint("make the inner query a pipeline of its own and use the stream that it fills"));
        }
        self.check_complete()?;
        let input = node.input.schema();
        if meaning(&node.ts, input, &self.meanings) != Meaning::EventTime {
            let message = format!("MATCH_RECOGNIZE: `{}` is not the event time of the stream", node.ts);
            return Err(PlanError::new(message).with_hint("ORDER BY ts, because the watermark follows it"));
        }
        let step = PatternStep::compile(node, props)?;
        operators::check_pattern(&step)?;
        let delay_us = self.sources.iter().map(|source| source.watermark_delay_us).max().unwrap_or_default();
        self.behind_us = step.behind_us().unwrap_or(delay_us);
        self.is_bounded_behind = step.behind_us().is_some();
        let fields: Vec<_> = input.fields().iter().cloned().collect();
        self.put_in_order(Arc::new(ArrowSchema::new(fields)));
        self.push(Step::Pattern(Arc::new(step)));
        self.in_order = false;
        self.meanings = vec![Meaning::Other; node.schema().fields().len()];
        self.matched = true;
        Ok(())
    }
}

fn meaning(column: &Expr, input: &DFSchema, meanings: &[Meaning]) -> Meaning {
    let index = match column {
        Expr::Column(column) => input.maybe_index_of_column(column),
        _ => None,
    };
    index.and_then(|index| meanings.get(index).copied()).unwrap_or(Meaning::Other)
}
