//! The groups of one window: keys, and for each aggregate an accumulator over all keys.
//!
//! A pane is made of DataFusion's own parts, so every aggregate function works, and its state is a batch
//! (keys, then the state columns of each aggregate) that merges into any other pane of the same query.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{SortColumn, lexsort_to_indices, take};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::broken::evaluate;
use super::rowwise::with_row_count;
use crate::RunError;
use crate::plan::{AggregateCall, AggregateStep, Group};

pub(super) struct Pane {
    /// `None` when the window is the only group.
    keys: Option<Box<dyn GroupValues>>,
    key_schema: SchemaRef,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// Scratch space: the group of each row of the batch at hand.
    groups: Vec<usize>,
}

/// The evaluated columns that a pane takes in: keys, and per aggregate its arguments and filter.
pub(super) struct Inputs {
    pub(super) keys: Vec<ArrayRef>,
    pub(super) arguments: Vec<Vec<ArrayRef>>,
    pub(super) filters: Vec<Option<BooleanArray>>,
    pub(super) rows: usize,
}

impl Inputs {
    pub(super) fn evaluate(step: &AggregateStep, batch: &RecordBatch) -> Result<Inputs, RunError> {
        let rows = batch.num_rows();
        let mut keys = Vec::new();
        for group in &step.groups {
            if let Group::Key(expr) = group {
                keys.push(evaluate(expr, batch)?);
            }
        }
        let mut arguments = Vec::with_capacity(step.aggregates.len());
        let mut filters = Vec::with_capacity(step.aggregates.len());
        for call in &step.aggregates {
            let columns: Result<Vec<_>, RunError> =
                call.arguments.iter().map(|expr| evaluate(expr, batch)).collect();
            arguments.push(columns?);
            filters.push(match &call.filter {
                Some(filter) => Some(evaluate(filter, batch)?.as_boolean().clone()),
                None => None,
            });
        }
        Ok(Inputs { keys, arguments, filters, rows })
    }

    /// One row without values.
    pub(super) fn of_nulls(step: &AggregateStep, input: &Schema) -> Result<Inputs, RunError> {
        let keys = step.key_schema.fields().iter().map(|field| new_null_array(field.data_type(), 1));
        let mut arguments = Vec::with_capacity(step.aggregates.len());
        for call in &step.aggregates {
            let types = call.arguments.iter().map(|expr| Ok(expr.data_type(input)?));
            let columns = types.map(|ty: Result<_, RunError>| Ok(new_null_array(&ty?, 1)));
            arguments.push(columns.collect::<Result<_, RunError>>()?);
        }
        let filters = vec![None; step.aggregates.len()];
        Ok(Inputs { keys: keys.collect(), arguments, filters, rows: 1 })
    }

    /// Only the given rows. Columns that are shared between aggregates are taken once.
    pub(super) fn take(&self, rows: &arrow::array::UInt32Array) -> Result<Inputs, RunError> {
        let mut taken: Vec<(ArrayRef, ArrayRef)> = Vec::new();
        let mut once = |column: &ArrayRef| -> Result<ArrayRef, RunError> {
            if let Some((_, known)) = taken.iter().find(|(from, _)| Arc::ptr_eq(from, column)) {
                return Ok(Arc::clone(known));
            }
            let new = take(column, rows, None)?;
            taken.push((Arc::clone(column), Arc::clone(&new)));
            Ok(new)
        };
        let keys = self.keys.iter().map(&mut once).collect::<Result<_, _>>()?;
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for columns in &self.arguments {
            arguments.push(columns.iter().map(&mut once).collect::<Result<_, _>>()?);
        }
        let mut filters = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            filters.push(match filter {
                Some(filter) => Some(take(filter, rows, None)?.as_boolean().clone()),
                None => None,
            });
        }
        Ok(Inputs { keys, arguments, filters, rows: rows.len() })
    }
}

impl Pane {
    /// A pane whose groups have these keys: those of the step, or more.
    pub(super) fn new(step: &AggregateStep, key_schema: &SchemaRef) -> Result<Pane, RunError> {
        let key_schema = Arc::clone(key_schema);
        let keys = match key_schema.fields().is_empty() {
            true => None,
            false => Some(new_group_values(Arc::clone(&key_schema), &GroupOrdering::None)?),
        };
        let accumulators = step.aggregates.iter().map(accumulator).collect::<Result<_, _>>()?;
        Ok(Pane { keys, key_schema, accumulators, groups: Vec::new() })
    }

    pub(super) fn update(&mut self, inputs: &Inputs) -> Result<(), RunError> {
        let count = self.intern(&inputs.keys, inputs.rows)?;
        let calls = self.accumulators.iter_mut().zip(&inputs.arguments).zip(&inputs.filters);
        for ((accumulator, arguments), filter) in calls {
            accumulator.update_batch(arguments, &self.groups, filter.as_ref(), count)?;
        }
        Ok(())
    }

    /// Adds the state of another pane of the same step, as [`Pane::state`] gave it.
    pub(super) fn merge(&mut self, step: &AggregateStep, state: &RecordBatch) -> Result<(), RunError> {
        let keys = self.key_schema.fields().len();
        let count = self.intern(&state.columns()[..keys], state.num_rows())?;
        let mut next = keys;
        for (accumulator, call) in self.accumulators.iter_mut().zip(&step.aggregates) {
            let width = call.function.state_fields()?.len();
            let columns = &state.columns()[next..next + width];
            accumulator.merge_batch(columns, &self.groups, count)?;
            next += width;
        }
        Ok(())
    }

    /// Keys and partial results as a batch. Takes them out: accumulators may not survive being asked.
    pub(super) fn state(mut self, step: &AggregateStep) -> Result<RecordBatch, RunError> {
        let rows = self.len();
        let schema = state_schema(step, &self.key_schema)?;
        if rows == 0 {
            // Some functions have no columns then, others fail.
            return Ok(RecordBatch::new_empty(schema));
        }
        let mut columns = self.emit_keys()?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.state(EmitTo::All)?);
        }
        let columns = columns
            .into_iter()
            .zip(schema.fields())
            .map(|(column, field)| match column.data_type() == field.data_type() {
                true => Ok(column),
                false => Ok(arrow::compute::cast(&column, field.data_type())?),
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        with_row_count(&schema, columns, rows)
    }

    /// The final values: keys and one column for each aggregate, ordered by key with null first.
    pub(super) fn close(mut self) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>, usize), RunError> {
        let rows = self.len();
        let keys = self.emit_keys()?;
        let mut results = Vec::with_capacity(self.accumulators.len());
        for accumulator in &mut self.accumulators {
            results.push(accumulator.evaluate(EmitTo::All)?);
        }
        if rows <= 1 || keys.is_empty() {
            return Ok((keys, results, rows));
        }
        let columns: Vec<SortColumn> =
            keys.iter().map(|key| SortColumn { values: Arc::clone(key), options: None }).collect();
        let order = lexsort_to_indices(&columns, None)?;
        let sorted = |columns: Vec<ArrayRef>| -> Result<Vec<ArrayRef>, RunError> {
            columns.iter().map(|column| Ok(take(column, &order, None)?)).collect()
        };
        Ok((sorted(keys)?, sorted(results)?, rows))
    }

    pub(super) fn bytes(&self) -> usize {
        let keys = self.keys.as_ref().map_or(0, |keys| keys.size());
        keys + self.accumulators.iter().map(|accumulator| accumulator.size()).sum::<usize>()
            + self.groups.capacity() * size_of::<usize>()
    }

    fn len(&self) -> usize {
        self.keys.as_ref().map_or(1, |keys| keys.len())
    }

    /// Sets `groups` for the rows of a batch and returns how many groups there are.
    fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<usize, RunError> {
        match &mut self.keys {
            Some(values) => values.intern(keys, &mut self.groups)?,
            None => {
                self.groups.clear();
                self.groups.resize(rows, 0);
            }
        }
        Ok(self.len())
    }

    fn emit_keys(&mut self) -> Result<Vec<ArrayRef>, RunError> {
        match &mut self.keys {
            Some(keys) => Ok(keys.emit(EmitTo::All)?),
            None => Ok(Vec::new()),
        }
    }
}

/// The accumulator of a call; functions without a vectorised one get an adapter around their simple one.
pub(super) fn accumulator(call: &AggregateCall) -> Result<Box<dyn GroupsAccumulator>, RunError> {
    if call.function.groups_accumulator_supported() {
        return Ok(call.function.create_groups_accumulator()?);
    }
    let function = Arc::clone(&call.function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
}

/// Keys, then the state columns of each aggregate, numbered, since two aggregates may name theirs alike.
pub(super) fn state_schema(step: &AggregateStep, key_schema: &Schema) -> Result<SchemaRef, RunError> {
    let mut fields: Vec<Field> = key_schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    for call in &step.aggregates {
        for field in call.function.state_fields()? {
            fields.push(Field::new(format!("state_{}", fields.len()), field.data_type().clone(), true));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}
