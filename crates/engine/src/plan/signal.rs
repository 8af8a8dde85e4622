//! Functions with OVER that remember a value of each key instead of rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::physical_expr::PhysicalExpr;

use super::PlanError;
use super::compile::Compiler;
use crate::operators::Keys;
use crate::signals::{Signal, signal_of};

/// Adds a column for each call to rows that come in the order of their time.
#[derive(Debug)]
pub(crate) struct SignalStep {
    /// Rows of other keys are not seen; null is a key.
    pub(crate) keys: Arc<Keys>,
    pub(crate) calls: Vec<SignalCall>,
    pub(crate) schema: SchemaRef,
}

#[derive(Debug)]
pub(crate) struct SignalCall {
    pub(crate) signal: Signal,
    pub(crate) arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// The type of the first argument.
    pub(crate) value: DataType,
}

impl Compiler<'_> {
    /// `None` for a function that looks at rows.
    pub(super) fn signal_call(
        &self,
        function: &WindowFunction,
        input: &DFSchema,
    ) -> Result<Option<SignalCall>, PlanError> {
        let Some((signal, arguments)) = signal_of(function)? else { return Ok(None) };
        let arguments = arguments.into_iter().map(|argument| self.expression(argument, input));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let value = match arguments.first() {
            Some(value) => value.data_type(input.as_arrow())?,
            None => DataType::Null,
        };
        // Only to see that it can.
        signal.start(&value)?;
        Ok(Some(SignalCall { signal, arguments, value }))
    }
}
