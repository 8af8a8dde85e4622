//! `hysteresis(value, on, off)`: on at one threshold, off at the other, and in between as it was.
//!
//! A Schmitt trigger (O. H. Schmitt, *A thermionic trigger*, Journal of Scientific Instruments 15, 1938, 24–26). With `on` above
//! `off` it tells what is high, with `on` below `off` what is low.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, exec_err};

use super::Memory;

/// Whether it is on, for each key.
#[derive(Debug, Default)]
pub(super) struct Hysteresis {
    is_on: Vec<bool>,
}

impl Memory for Hysteresis {
    fn advance(&mut self, arguments: &[ArrayRef], keys: &[usize]) -> Result<ArrayRef> {
        let [values, ons, offs] = arguments else { return exec_err!("hysteresis takes three numbers") };
        let (Some(values), Some(ons), Some(offs)) = (numbers(values), numbers(ons), numbers(offs)) else {
            return exec_err!("hysteresis takes numbers");
        };
        let mut given = Vec::with_capacity(keys.len());
        for (row, key) in keys.iter().copied().enumerate() {
            if key >= self.is_on.len() {
                self.is_on.resize(key + 1, false);
            }
            let is_on = &mut self.is_on[key];
            *is_on = behind(*is_on, at(values, row), at(ons, row), at(offs, row));
            given.push(*is_on);
        }
        Ok(Arc::new(BooleanArray::from(given)))
    }

    fn types(&self) -> Vec<DataType> {
        vec![DataType::Boolean]
    }

    fn state(&self) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(BooleanArray::from(self.is_on.clone()))])
    }

    fn restore(&mut self, state: &[ArrayRef]) -> Result<()> {
        let Some(is_on) = state.first().and_then(|column| column.as_boolean_opt()) else {
            return exec_err!("a state of hysteresis has a column");
        };
        self.is_on = is_on.iter().map(Option::unwrap_or_default).collect();
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.is_on.capacity()
    }
}

/// Whether it is on behind a row. What is missing or no number leaves it as it was, and so do thresholds that are equal, of
/// which nobody can say on which side it is on.
fn behind(is_on: bool, value: Option<f64>, on: Option<f64>, off: Option<f64>) -> bool {
    let (Some(value), Some(on), Some(off)) = (value, on, off) else { return is_on };
    let (reaches_on, reaches_off) = match (on > off, on < off) {
        (true, _) => (value >= on, value <= off),
        (_, true) => (value <= on, value >= off),
        _ => return is_on,
    };
    (is_on || reaches_on) && !reaches_off
}

fn numbers(column: &ArrayRef) -> Option<&Float64Array> {
    column.as_primitive_opt::<Float64Type>()
}

fn at(numbers: &Float64Array, row: usize) -> Option<f64> {
    numbers.is_valid(row).then(|| numbers.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_from_one_threshold_to_the_other() {
        let check = |was: bool, value: f64, [on, off]: [f64; 2], expected: bool| {
            let found = behind(was, Some(value), Some(on), Some(off));
            assert_eq!(found, expected, "{was} {value} {on} {off}");
        };
        const HIGH: [f64; 2] = [30.0, 25.0];
        const LOW: [f64; 2] = [3.0, 5.0];
        // A threshold belongs to what it leads to.
        check(false, 30.0, HIGH, true);
        check(false, 29.9, HIGH, false);
        check(true, 25.1, HIGH, true);
        check(true, 25.0, HIGH, false);
        check(false, 3.0, LOW, true);
        check(false, 3.1, LOW, false);
        check(true, 4.9, LOW, true);
        check(true, 5.0, LOW, false);
        for was in [false, true] {
            check(was, f64::NAN, HIGH, was);
            check(was, 40.0, [f64::NAN, 25.0], was);
            check(was, 30.0, [30.0, 30.0], was);
            assert_eq!(behind(was, None, Some(30.0), Some(25.0)), was);
            assert_eq!(behind(was, Some(40.0), Some(30.0), None), was);
        }
    }
}
