//! `delta`, `increase`, `rate` and `time_weighted_avg` of a value over the time of its samples.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility};

use super::{SECTION, list, list_field, lists, refuse_distinct};

/// What is asked of the samples of a group, in the order of their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    /// The last value less the first; null with less than two samples.
    Delta,
    /// How much a counter has grown. A value below the one before it means that the counter began again at zero, as
    /// in Prometheus.
    Increase,
    /// [`Measure::Increase`] for each second between the first and the last sample.
    Rate,
    /// The mean of a value that holds until the next sample. The last sample has no weight, unless it is the only one.
    TimeWeightedAverage,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Measure::Delta => "delta",
            Measure::Increase => "increase",
            Measure::Rate => "rate",
            Measure::TimeWeightedAverage => "time_weighted_avg",
        }
    }

    fn documentation(self) -> Documentation {
        let says = match self {
            Measure::Delta => {
                "The last value less the first, in the order of time; null with less than two samples."
            }
            Measure::Increase => {
                "How much a counter has grown between its first and its last sample. A value below the one before means that \
                 the counter began again at zero."
            }
            Measure::Rate => "`increase` for each second between the first and the last sample.",
            Measure::TimeWeightedAverage => {
                "The mean of a value that holds until the next sample. The last sample has no weight, unless it is the only one."
            }
        };
        Documentation::builder(SECTION, says, format!("{}(value, ts)", self.name())).build()
    }

    /// The answer for samples in the order of their time.
    fn of(self, samples: &[Sample]) -> Option<f64> {
        let (first, last) = (samples.first()?, samples.last()?);
        let span_us = last.at as f64 - first.at as f64;
        let steps = || samples.iter().zip(&samples[1..]);
        match self {
            Measure::TimeWeightedAverage if span_us == 0.0 => Some(last.value),
            Measure::TimeWeightedAverage => {
                let areas = steps().map(|(sample, next)| sample.value * (next.at as f64 - sample.at as f64));
                Some(areas.sum::<f64>() / span_us)
            }
            _ if samples.len() < 2 => None,
            Measure::Delta => Some(last.value - first.value),
            Measure::Rate if span_us == 0.0 => None,
            Measure::Increase | Measure::Rate => {
                let grown = |(sample, next): (&Sample, &Sample)| match next.value < sample.value {
                    true => next.value,
                    false => next.value - sample.value,
                };
                let increase: f64 = steps().map(grown).sum();
                Some(if self == Measure::Rate { increase / (span_us / 1e6) } else { increase })
            }
        }
    }
}

/// The function of a measure.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OverTime {
    measure: Measure,
    signature: Signature,
    documentation: Documentation,
}

impl OverTime {
    pub fn new(measure: Measure) -> OverTime {
        let signature = Signature::user_defined(Volatility::Immutable);
        OverTime { measure, signature, documentation: measure.documentation() }
    }
}

impl AggregateUDFImpl for OverTime {
    fn name(&self) -> &str {
        self.measure.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_number = |ty: &DataType| ty.is_numeric() || ty.is_null();
        match types {
            [value, time @ (DataType::Timestamp(..) | DataType::Null)] if is_number(value) => {
                let zone = match time {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                Ok(vec![DataType::Float64, DataType::Timestamp(TimeUnit::Microsecond, zone)])
            }
            _ => {
                let name = self.name();
                plan_err!("{name} takes a number and its time; hint: {name}(value, ts)")
            }
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(self.name(), &arguments)?;
        Ok(Box::new(Samples { measure: self.measure, samples: Vec::new() }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            list_field(arguments.name, "times", DataType::Int64),
            list_field(arguments.name, "values", DataType::Float64),
        ])
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: i64,
    value: f64,
}

/// All samples of a group: a late one may belong between any two.
#[derive(Debug)]
struct Samples {
    measure: Measure,
    samples: Vec<Sample>,
}

impl Samples {
    /// Samples without a value or without a time are none.
    fn extend(&mut self, times: &Int64Array, values: &Float64Array) {
        let samples =
            times.iter().zip(values).filter_map(|(at, value)| Some(Sample { at: at?, value: value? }));
        self.samples.extend(samples);
    }
}

impl Accumulator for Samples {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        if let [values, times, ..] = arguments {
            let times = cast(times, &DataType::Int64)?;
            self.extend(times.as_primitive::<Int64Type>(), values.as_primitive::<Float64Type>());
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if let [times, values] = states {
            for (times, values) in lists(times)?.iter().zip(lists(values)?) {
                self.extend(times.as_primitive::<Int64Type>(), values.as_primitive::<Float64Type>());
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let times = Int64Array::from_iter_values(self.samples.iter().map(|sample| sample.at));
        let values = Float64Array::from_iter_values(self.samples.iter().map(|sample| sample.value));
        Ok(vec![list(Arc::new(times)), list(Arc::new(values))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // Stable: of two samples of one time the one that came later counts as the later one.
        self.samples.sort_by_key(|sample| sample.at);
        Ok(ScalarValue::Float64(self.measure.of(&self.samples)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.samples.capacity() * size_of::<Sample>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(measure: Measure, samples: &[(i64, f64)]) -> Option<f64> {
        let samples: Vec<Sample> =
            samples.iter().map(|(at, value)| Sample { at: *at, value: *value }).collect();
        measure.of(&samples)
    }

    #[test]
    fn a_counter_that_begins_again_has_grown_by_what_it_shows_then() {
        let samples = [(0, 10.0), (1_000_000, 15.0), (2_000_000, 3.0), (4_000_000, 7.0)];
        assert_eq!(of(Measure::Increase, &samples), Some(5.0 + 3.0 + 4.0));
        assert_eq!(of(Measure::Rate, &samples), Some(12.0 / 4.0));
        assert_eq!(of(Measure::Delta, &samples), Some(-3.0));
    }

    #[test]
    fn a_value_weighs_as_long_as_it_holds() {
        let samples = [(0, 10.0), (1_000_000, 20.0), (4_000_000, 99.0)];
        assert_eq!(of(Measure::TimeWeightedAverage, &samples), Some((10.0 + 3.0 * 20.0) / 4.0));
        assert_eq!(of(Measure::TimeWeightedAverage, &samples[..1]), Some(10.0));
        assert_eq!(of(Measure::TimeWeightedAverage, &[(5, 1.0), (5, 2.0)]), Some(2.0));
    }

    #[test]
    fn what_needs_two_samples_is_null_without_them() {
        for measure in [Measure::Delta, Measure::Increase, Measure::Rate] {
            assert_eq!(of(measure, &[(0, 1.0)]), None, "{measure:?}");
            assert_eq!(of(measure, &[]), None, "{measure:?}");
        }
        assert_eq!(of(Measure::Rate, &[(5, 1.0), (5, 2.0)]), None);
    }
}
