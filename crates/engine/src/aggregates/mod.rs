//! Aggregates for measurements, beside those of DataFusion.
//!
//! Devices are heard at odd moments, twice and out of order, and their counters begin at zero after a restart. These functions
//! take the time of a sample as an argument, so that their result follows from the samples and not from the order in
//! which they came. All merge across panes, as every aggregate of a pipeline has to.

mod by;
mod histogram;
mod over_time;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, DocSection};

use by::{By, Extreme};
use histogram::Histogram;
use over_time::{Measure, OverTime};

/// All of them, for pipelines and for queries over history.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let mut all: Vec<AggregateUDF> = Vec::new();
    for measure in [Measure::Delta, Measure::Increase, Measure::Rate, Measure::TimeWeightedAverage] {
        all.push(OverTime::new(measure).into());
    }
    for extreme in [Extreme::Least, Extreme::Greatest] {
        all.push(By::new(extreme).into());
    }
    all.push(Histogram::new().into());
    all.into_iter().map(Arc::new).collect()
}

/// Where the reference has them.
const SECTION: DocSection = DocSection { include: true, label: "Measurements", description: None };

/// None of them has a meaning for values that differ.
fn refuse_distinct(name: &str, arguments: &AccumulatorArgs) -> Result<()> {
    match arguments.is_distinct {
        true => plan_err!("{name}(DISTINCT …) has no meaning: every sample counts"),
        false => Ok(()),
    }
}

/// A column of a state that holds a list.
fn list_field(name: &str, part: &str, item: DataType) -> FieldRef {
    Arc::new(Field::new_list(format!("{name}[{part}]"), Field::new_list_field(item, true), true))
}

fn list(values: ArrayRef) -> ScalarValue {
    ScalarValue::List(Arc::new(SingleRowListArrayBuilder::new(values).build_list_array()))
}

/// The lists of a state that merges, without those that are null.
fn lists(column: &ArrayRef) -> Result<Vec<ArrayRef>> {
    match column.as_list_opt::<i32>() {
        Some(lists) => Ok(lists.iter().flatten().collect()),
        None => exec_err!("a state is a list, not {}", column.data_type()),
    }
}
