//! The state of a pattern as bytes: three batches in Arrow's format.
//!
//! ```text
//! 0  attempts        keys…, next row of the partition, first row, deadline
//! 1  ways            attempt, state (-1: the match that was found), last row, time, cells of the slots…
//! 2  previous rows   keys…, values…
//! ```
//! Attempts of a partition, ways of an attempt and rows of a partition follow each other in their order.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::ScalarValue;

use super::attempt::{Attempt, Found, Way};
use super::partition::Partition;
use super::previous::columns_of;
use super::slot::{Slot, cell_types};
use super::{PatternMatch, PreviousRows};
use crate::RunError;
use crate::ipc;
use crate::operators::rowwise::with_row_count;
use crate::operators::slice::check_columns;
use crate::plan::pattern::PatternStep;

const WRONG: RunError = RunError::State { what: "it is not that of a pattern" };
/// In the place of the state of a way: the match that an attempt has found.
const FOUND: i64 = -1;

pub(super) fn write(operator: &PatternMatch) -> Result<Vec<u8>, RunError> {
    let step = &operator.step;
    let mut partitions: Vec<(&[u8], &Partition)> =
        operator.partitions.iter().map(|(key, partition)| (key.as_ref(), partition)).collect();
    partitions.sort_unstable_by_key(|(key, _)| *key);
    let attempts: Vec<(&[u8], &Partition, &Attempt)> = partitions
        .into_iter()
        .flat_map(|(key, partition)| partition.attempts.iter().map(move |attempt| (key, partition, attempt)))
        .collect();
    let mut columns = operator.key_columns(attempts.iter().map(|(key, ..)| *key))?;
    columns.push(numbers(attempts.iter().map(|(_, partition, _)| partition.next_row as i64)));
    columns.push(numbers(attempts.iter().map(|(.., attempt)| attempt.first_row as i64)));
    columns.push(numbers(attempts.iter().map(|(.., attempt)| attempt.deadline)));
    let attempts_batch = with_row_count(&attempt_schema(step), columns, attempts.len())?;
    let mut ways = Vec::new();
    for (number, (.., attempt)) in attempts.iter().enumerate() {
        let head = |state: i64, last_row: i64, time: i64| {
            [number as i64, state, last_row, time].map(|number| ScalarValue::Int64(Some(number))).to_vec()
        };
        for way in &attempt.ways {
            ways.push(with_cells(step, head(way.state as i64, 0, 0), &way.slots)?);
        }
        if let Some(found) = &attempt.found {
            ways.push(with_cells(step, head(FOUND, found.last_row as i64, found.time), &found.slots)?);
        }
    }
    let previous = operator.previous.rows();
    let mut columns = operator.key_columns(previous.iter().map(|(key, _)| *key))?;
    columns.extend(columns_of(&previous_types(step), previous.iter().map(|(_, row)| *row))?);
    let previous = with_row_count(&previous_schema(step), columns, previous.len())?;
    let columns = columns_of(&way_types(step), ways.iter().map(Vec::as_slice))?;
    let ways = with_row_count(&way_schema(step), columns, ways.len())?;
    ipc::write_numbered(&[(0, attempts_batch), (1, ways), (2, previous)])
}

fn with_cells(
    step: &PatternStep,
    mut head: Vec<ScalarValue>,
    slots: &[Slot],
) -> Result<Vec<ScalarValue>, RunError> {
    for (slot, term) in slots.iter().zip(&step.terms) {
        head.extend(slot.cells(term)?);
    }
    Ok(head)
}

fn numbers(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub(super) fn read(operator: &mut PatternMatch, state: &[u8]) -> Result<(), RunError> {
    let parts = ipc::read_numbered(state)?;
    let [(0, attempts), (1, ways), (2, previous)] = parts.as_slice() else { return Err(WRONG) };
    let step = Arc::clone(&operator.step);
    check_columns(&attempts.schema(), &attempt_schema(&step))?;
    check_columns(&ways.schema(), &way_schema(&step))?;
    check_columns(&previous.schema(), &previous_schema(&step))?;
    *operator = PatternMatch::new(Arc::clone(&step));
    let keys = step.partition.len();
    let key_rows = operator.keys_of(&previous.columns()[..keys])?;
    operator.previous = PreviousRows::new(&step);
    for row in 0..previous.num_rows() {
        let key = key_rows.as_ref().map(|keys| keys.row(row));
        operator
            .previous
            .restore(key.as_ref().map_or(&[], AsRef::as_ref), values(&previous.columns()[keys..], row)?);
    }
    let mut restored = read_attempts(&step, attempts, ways)?;
    let key_rows = operator.keys_of(&attempts.columns()[..keys])?;
    let next_rows = whole(attempts, keys);
    // Each partition at once, from the last to the first, as they stand at the end of the list.
    while let Some(last) = restored.len().checked_sub(1) {
        let key_of = |row| key_rows.as_ref().map(|keys| keys.row(row));
        let key = key_of(last);
        let mut first = last;
        while first > 0 && key_of(first - 1) == key {
            first -= 1;
        }
        let (attempts, next_row) = (restored.split_off(first), next_rows[last] as u64);
        operator.change(key.as_ref().map_or(&[], AsRef::as_ref), &mut Vec::new(), |partition, _| {
            partition.attempts = attempts.into();
            partition.next_row = next_row;
            Ok(Vec::new())
        })?;
    }
    Ok(())
}

fn read_attempts(
    step: &PatternStep,
    attempts: &RecordBatch,
    ways: &RecordBatch,
) -> Result<Vec<Attempt>, RunError> {
    let keys = step.partition.len();
    let (first_rows, deadlines) = (whole(attempts, keys + 1), whole(attempts, keys + 2));
    let read = first_rows.iter().zip(&deadlines).map(|(first_row, deadline)| Attempt {
        first_row: *first_row as u64,
        deadline: *deadline,
        ways: Vec::new(),
        found: None,
    });
    let mut read: Vec<Attempt> = read.collect();
    let [owners, states, last_rows, times] = [0, 1, 2, 3].map(|column| whole(ways, column));
    for row in 0..ways.num_rows() {
        let mut cells = values(&ways.columns()[4..], row)?;
        let slots = step.terms.iter().map(|term| {
            let rest = cells.split_off(cell_types(term).len().min(cells.len()));
            Slot::from_cells(term, &std::mem::replace(&mut cells, rest))
        });
        let slots = slots.collect::<Result<Vec<_>, RunError>>()?;
        let attempt = usize::try_from(owners[row]).ok().and_then(|owner| read.get_mut(owner)).ok_or(WRONG)?;
        match usize::try_from(states[row]) {
            Ok(state) if state < step.automaton.states.len() => attempt.ways.push(Way { state, slots }),
            Err(_) if states[row] == FOUND => {
                let found = Found { last_row: last_rows[row] as u64, time: times[row], slots };
                attempt.found = Some(found);
            }
            _ => return Err(WRONG),
        }
    }
    Ok(read)
}

/// A column of whole numbers; the schema has been checked.
fn whole(batch: &RecordBatch, column: usize) -> Vec<i64> {
    batch.column(column).as_primitive::<Int64Type>().values().to_vec()
}

fn values(columns: &[ArrayRef], row: usize) -> Result<Vec<ScalarValue>, RunError> {
    Ok(columns.iter().map(|column| ScalarValue::try_from_array(column, row)).collect::<Result<_, _>>()?)
}

fn attempt_schema(step: &PatternStep) -> SchemaRef {
    let mut fields: Vec<Field> =
        step.key_schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    let numbers = ["next_row", "first_row", "deadline"];
    fields.extend(numbers.map(|name| Field::new(name, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

fn way_types(step: &PatternStep) -> Vec<DataType> {
    let mut types = vec![DataType::Int64; 4];
    types.extend(step.terms.iter().flat_map(cell_types));
    types
}

fn way_schema(step: &PatternStep) -> SchemaRef {
    named(Vec::new(), &way_types(step))
}

fn previous_types(step: &PatternStep) -> Vec<DataType> {
    step.previous.iter().map(|previous| previous.field.data_type().clone()).collect()
}

fn previous_schema(step: &PatternStep) -> SchemaRef {
    let keys = step.key_schema.fields().iter().map(|field| field.as_ref().clone());
    named(keys.collect(), &previous_types(step))
}

fn named(mut fields: Vec<Field>, types: &[DataType]) -> SchemaRef {
    let values = types.iter().enumerate();
    fields.extend(values.map(|(number, ty)| Field::new(format!("value{number}"), ty.clone(), true)));
    Arc::new(Schema::new(fields))
}
