//! `histogram(value, low, high, buckets)`: how many values fall into each of a number of equal intervals.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

use super::{SECTION, list, list_field, lists, refuse_distinct};

const BUCKETS_MAX: i64 = 1_000;

/// Gives the counts as a JSON array: below `low`, each bucket `[from, to)`, `high` and above.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Histogram {
    signature: Signature,
    documentation: Documentation,
}

impl Histogram {
    pub fn new() -> Histogram {
        let types = vec![DataType::Float64, DataType::Float64, DataType::Float64, DataType::Int64];
        let says = "How many values fall into each of equal intervals, as a JSON array: below `low`, in each interval with its \
                    lower bound, from `high` on. The bounds and the number of intervals are constants.";
        let documentation =
            Documentation::builder(SECTION, says, "histogram(value, low, high, buckets)").build();
        Histogram { signature: Signature::exact(types, Volatility::Immutable), documentation }
    }
}

impl AggregateUDFImpl for Histogram {
    fn name(&self) -> &str {
        "histogram"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(self.name(), &arguments)?;
        let constant = |at: usize, ty: &DataType| {
            let literal = arguments.exprs.get(at).and_then(|expr| expr.downcast_ref::<Literal>());
            literal.and_then(|literal| literal.value().cast_to(ty).ok())
        };
        let (low, high) = (constant(1, &DataType::Float64), constant(2, &DataType::Float64));
        let (
            Some(ScalarValue::Float64(Some(low))),
            Some(ScalarValue::Float64(Some(high))),
            Some(ScalarValue::Int64(Some(buckets))),
        ) = (low, high, constant(3, &DataType::Int64))
        else {
            return plan_err!(
                "histogram: bounds and number of buckets are constants; hint: histogram(temp, 0, 40, 8)"
            );
        };
        if !(low.is_finite() && high.is_finite() && low < high) {
            return plan_err!("histogram: {low} is not below {high}");
        }
        if !(1..=BUCKETS_MAX).contains(&buckets) {
            return plan_err!("histogram: 1 to {BUCKETS_MAX} buckets, not {buckets}");
        }
        Ok(Box::new(Counts { low, high, counts: vec![0; buckets as usize + 2] }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![list_field(arguments.name, "counts", DataType::Int64)])
    }
}

#[derive(Debug)]
struct Counts {
    low: f64,
    high: f64,
    /// Below, the buckets, above.
    counts: Vec<i64>,
}

impl Counts {
    /// Not a number is none.
    fn bucket(&self, value: f64) -> Option<usize> {
        let buckets = self.counts.len() - 2;
        if value.is_nan() {
            return None;
        }
        Some(match value {
            below if below < self.low => 0,
            above if above >= self.high => buckets + 1,
            within => {
                let share = (within - self.low) / (self.high - self.low);
                // Rounding may lift a value just below `high` onto it.
                ((share * buckets as f64) as usize).min(buckets - 1) + 1
            }
        })
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        if let [values, ..] = arguments {
            for value in values.as_primitive::<Float64Type>().iter().flatten() {
                if let Some(bucket) = self.bucket(value) {
                    self.counts[bucket] += 1;
                }
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if let [counts] = states {
            for counts in lists(counts)? {
                let counts = counts.as_primitive::<Int64Type>().iter().flatten();
                self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![list(Arc::new(Int64Array::from(self.counts.clone())))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let counts: Vec<String> = self.counts.iter().map(i64::to_string).collect();
        Ok(ScalarValue::Utf8(Some(format!("[{}]", counts.join(",")))))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.capacity() * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_one_bucket_with_its_lower_bound() {
        let counts = Counts { low: 0.0, high: 1.0, counts: vec![0; 12] };
        let cases = [(-0.1, 0), (0.0, 1), (0.0999, 1), (0.1, 2), (0.95, 10), (1.0, 11), (f64::INFINITY, 11)];
        for (value, bucket) in cases {
            assert_eq!(counts.bucket(value), Some(bucket), "{value}");
        }
        assert_eq!(counts.bucket(1.0_f64.next_down()), Some(10));
        assert_eq!(counts.bucket(f64::NAN), None);
    }
}
