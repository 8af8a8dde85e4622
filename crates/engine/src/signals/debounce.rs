//! `debounce(value, INTERVAL …)`: the value that was the last to stand for so long.
//!
//! A value stands from the row that brings it until the row that brings another one; rows without a value change nothing.
//!
//! ```text
//! for 5 s   ts   0   2   4   9  12  13  20
//!        value   a   a   b   b   c   b   b
//!        given   -   -   -   b   b   b   b     a stood from 0 to 4, b from 4 to 12, c for a second, b again since 13
//! ```
//! That a value has stood for long enough is known at the next row of the key, whatever that brings.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, new_empty_array};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};

use super::Memory;

#[derive(Debug)]
pub(super) struct Debounce {
    for_us: i64,
    null: ScalarValue,
    keys: Vec<Held>,
}

/// What is remembered of a key.
#[derive(Clone, Debug)]
struct Held {
    /// The last value that stood for long enough, or null.
    stable: ScalarValue,
    /// Another value since then, and when it came.
    next: Option<(ScalarValue, i64)>,
}

impl Debounce {
    pub fn new(for_us: i64, value: &DataType) -> Result<Debounce> {
        Ok(Debounce { for_us, null: ScalarValue::try_from(value)?, keys: Vec::new() })
    }
}

impl Memory for Debounce {
    fn advance(&mut self, arguments: &[ArrayRef], keys: &[usize]) -> Result<ArrayRef> {
        let [values, times] = arguments else { return exec_err!("debounce takes a value and a time") };
        let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
            return exec_err!("debounce goes along a time");
        };
        let mut given = Vec::with_capacity(keys.len());
        for (row, key) in keys.iter().copied().enumerate() {
            if key >= self.keys.len() {
                self.keys.resize(key + 1, Held { stable: self.null.clone(), next: None });
            }
            let held = &mut self.keys[key];
            if times.is_valid(row) {
                held.take(values, row, times.value(row), self.for_us)?;
            }
            given.push(held.stable.clone());
        }
        column(given, values.data_type())
    }

    fn types(&self) -> Vec<DataType> {
        vec![self.null.data_type(), self.null.data_type(), DataType::Int64]
    }

    fn state(&self) -> Result<Vec<ArrayRef>> {
        let ty = self.null.data_type();
        let next = |held: &Held| held.next.as_ref().map_or(&self.null, |(value, _)| value).clone();
        let since = self.keys.iter().map(|held| held.next.as_ref().map(|(_, since)| *since));
        Ok(vec![
            column(self.keys.iter().map(|held| held.stable.clone()).collect(), &ty)?,
            column(self.keys.iter().map(next).collect(), &ty)?,
            Arc::new(since.collect::<Int64Array>()),
        ])
    }

    fn restore(&mut self, state: &[ArrayRef]) -> Result<()> {
        let [stable, next, since] = state else { return exec_err!("a state of debounce has three columns") };
        let since = since.as_primitive::<Int64Type>();
        let held = |row: usize| -> Result<Held> {
            let next = match since.is_valid(row) {
                true => Some((ScalarValue::try_from_array(next, row)?, since.value(row))),
                false => None,
            };
            Ok(Held { stable: ScalarValue::try_from_array(stable, row)?, next })
        };
        self.keys = (0..since.len()).map(held).collect::<Result<_>>()?;
        Ok(())
    }

    fn bytes(&self) -> usize {
        let texts = |value: &ScalarValue| value.size() - size_of::<ScalarValue>();
        let values =
            self.keys.iter().flat_map(|held| [Some(&held.stable), held.next.as_ref().map(|next| &next.0)]);
        self.keys.capacity() * size_of::<Held>() + values.flatten().map(texts).sum::<usize>()
    }
}

impl Held {
    /// Takes in a row.
    fn take(&mut self, values: &ArrayRef, row: usize, ts: i64, for_us: i64) -> Result<()> {
        if let Some((value, _)) = self.next.take_if(|(_, since)| ts.saturating_sub(*since) >= for_us) {
            self.stable = value;
        }
        let current = self.next.as_ref().map_or(&self.stable, |(value, _)| value);
        if values.is_valid(row) && !current.eq_array(values, row)? {
            self.next = Some((ScalarValue::try_from_array(values, row)?, ts));
        }
        Ok(())
    }
}

/// Values of one type.
fn column(values: Vec<ScalarValue>, ty: &DataType) -> Result<ArrayRef> {
    match values.is_empty() {
        true => Ok(new_empty_array(ty)),
        false => ScalarValue::iter_to_array(values),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, TimestampMicrosecondArray};

    use super::*;

    /// Values with their seconds; `-` is none.
    fn check(for_s: i64, rows: &[(i64, &str, &str)]) {
        let shown = |text: &str| (text != "-").then(|| text.to_owned());
        let values: StringArray = rows.iter().map(|(_, value, _)| shown(value)).collect();
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(ts, ..)| ts * 1_000_000));
        let expected: StringArray = rows.iter().map(|(.., given)| shown(given)).collect();
        let mut memory = Debounce::new(for_s * 1_000_000, &DataType::Utf8).unwrap();
        let arguments: [ArrayRef; 2] = [Arc::new(values), Arc::new(times)];
        let given = memory.advance(&arguments, &vec![0; rows.len()]).unwrap();
        assert_eq!(given.as_string::<i32>(), &expected);
    }

    #[test]
    fn a_value_counts_when_it_has_stood_for_long_enough() {
        check(
            5,
            &[
                (0, "a", "-"),
                (2, "a", "-"),
                (4, "b", "-"),
                (9, "b", "b"),
                (12, "c", "b"),
                (13, "b", "b"),
                (20, "b", "b"),
            ],
        );
        // The row that ends it shows that it stood, and so does one without a value.
        check(5, &[(0, "a", "-"), (5, "b", "a"), (10, "-", "b"), (11, "-", "b")]);
        check(5, &[(0, "-", "-"), (9, "a", "-"), (13, "-", "-"), (14, "a", "a")]);
        // The same again begins anew.
        check(5, &[(0, "a", "-"), (3, "b", "-"), (4, "a", "-"), (8, "a", "-"), (9, "a", "a")]);
        // Of one time, the last stands.
        check(5, &[(0, "a", "-"), (0, "b", "-"), (5, "a", "b"), (5, "b", "b"), (10, "a", "b")]);
    }
}
