//! The functions by which rows come to even times.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, PrimitiveArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, TimestampMicrosecondType};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::times_type;
use crate::plan::window::time_type;

/// Times that are computed at once, in 128 MiB. A pipeline halves a batch that has more.
const TIMES_MAX: usize = 1 << 24;

/// The times that follow from a row and the time of the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grid {
    pub(crate) step_us: i64,
    /// Rows further apart than this have nothing between them.
    pub(crate) gap_us: i64,
    signature: Signature,
}

impl Grid {
    pub(crate) fn new(step_us: i64, gap_us: i64) -> Grid {
        Grid { step_us, gap_us, signature: Signature::any(2, Volatility::Immutable) }
    }

    /// The multiples of the step from behind the row before up to the row.
    fn times(&self, before: Option<i64>, ts: i64) -> impl Iterator<Item = i64> + use<> {
        let near = before.filter(|before| ts.saturating_sub(*before) <= self.gap_us);
        // What stands there itself is there without any other.
        let since = near.or_else(|| (before != Some(ts)).then(|| ts.saturating_sub(1))).unwrap_or(ts);
        let (first, last) = (since.div_euclid(self.step_us) + 1, ts.div_euclid(self.step_us));
        let step_us = self.step_us;
        (first..=last).map(move |number| number.saturating_mul(step_us))
    }
}

/// The grid that an expression asks for.
pub(crate) fn grid_of(expr: &Expr) -> Option<Grid> {
    let mut found = None;
    let visited = expr.apply(|part| {
        if let Expr::ScalarFunction(call) = part {
            found = call.func.inner().downcast_ref::<Grid>().cloned().or(found.take());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.ok().and(found)
}

impl ScalarUDFImpl for Grid {
    fn name(&self) -> &str {
        "times_of_grid"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(times_type())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let [before, ts] = arguments.args.as_slice() else {
            return exec_err!("{} takes the time before and the time of a row", self.name());
        };
        let (before, ts) = (times_of(before, rows)?, times_of(ts, rows)?);
        let (mut times, mut lengths) = (Vec::new(), Vec::with_capacity(rows));
        for row in 0..rows {
            let earlier = times.len();
            if ts.is_valid(row) {
                times.extend(self.times(before.is_valid(row).then(|| before.value(row)), ts.value(row)));
            }
            if times.len() > TIMES_MAX && rows > 1 {
                return exec_err!("more than {TIMES_MAX} rows of a grid stand between the rows of one batch");
            }
            lengths.push(times.len() - earlier);
        }
        let field = Arc::new(Field::new_list_field(time_type(), false));
        let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
        let lists = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(times), None)?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

/// The value at a time on the straight line between two; null where one of them is, but for the times of the two themselves.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Interpolate {
    signature: Signature,
}

impl Interpolate {
    pub(super) fn new() -> Interpolate {
        Interpolate { signature: Signature::any(5, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Interpolate {
    fn name(&self) -> &str {
        "on_the_line_between"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let [from, to, from_ts, to_ts, at] = arguments.args.as_slice() else {
            return exec_err!("{} takes two values, their times and a time", self.name());
        };
        let (from, to) = (numbers_of(from, rows)?, numbers_of(to, rows)?);
        let (from_ts, to_ts, at) = (times_of(from_ts, rows)?, times_of(to_ts, rows)?, times_of(at, rows)?);
        let value = |row: usize| -> Option<f64> {
            let to = to.is_valid(row).then(|| to.value(row));
            if at.value(row) == to_ts.value(row) {
                return to;
            }
            let (from, to) = (from.is_valid(row).then(|| from.value(row))?, to?);
            let length = to_ts.value(row).saturating_sub(from_ts.value(row)) as f64;
            let part = at.value(row).saturating_sub(from_ts.value(row)) as f64 / length;
            Some(from + (to - from) * part)
        };
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(value).collect::<Float64Array>())))
    }
}

fn times_of(value: &ColumnarValue, rows: usize) -> Result<PrimitiveArray<TimestampMicrosecondType>> {
    let array: ArrayRef = cast(&value.to_array(rows)?, &time_type())?;
    Ok(array.as_primitive::<TimestampMicrosecondType>().clone())
}

fn numbers_of(value: &ColumnarValue, rows: usize) -> Result<Float64Array> {
    let array: ArrayRef = cast(&value.to_array(rows)?, &DataType::Float64)?;
    Ok(array.as_primitive::<Float64Type>().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_grid_lie_behind_one_row_and_up_to_the_next() {
        let grid = Grid::new(10, 35);
        let check = |before: Option<i64>, ts: i64, expected: &[i64]| {
            assert_eq!(grid.times(before, ts).collect::<Vec<_>>(), expected, "{before:?} {ts}");
        };
        check(Some(3), 31, &[10, 20, 30]);
        check(Some(10), 30, &[20, 30]);
        check(Some(11), 19, &[]);
        check(Some(-15), 5, &[-10, 0]);
        // At the gap, and beyond it.
        check(Some(5), 40, &[10, 20, 30, 40]);
        check(Some(4), 40, &[40]);
        check(Some(4), 41, &[]);
        // The first row, and a second one of the same time.
        check(None, 40, &[40]);
        check(None, 41, &[]);
        check(Some(40), 40, &[]);
    }
}
