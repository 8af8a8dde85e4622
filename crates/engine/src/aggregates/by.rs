//! `min_by(value, key)` and `max_by(value, key)`: the value of the row in which the key is least or greatest.

use arrow::array::make_comparator;
use arrow::array::{Array, ArrayRef};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility};

use super::{SECTION, refuse_distinct};

/// Which row is looked for. Of rows with equal keys it is the one that came first; rows without a key are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct By {
    extreme: Extreme,
    signature: Signature,
    documentation: Documentation,
}

impl By {
    pub fn new(extreme: Extreme) -> By {
        let (name, which) = match extreme {
            Extreme::Least => ("min_by", "least"),
            Extreme::Greatest => ("max_by", "greatest"),
        };
        let says = format!(
            "The value of the row in which the key is {which}; of rows with equal keys that of the first. Rows without a key are \
             passed over."
        );
        let documentation = Documentation::builder(SECTION, says, format!("{name}(value, key)")).build();
        By { extreme, signature: Signature::any(2, Volatility::Immutable), documentation }
    }
}

impl AggregateUDFImpl for By {
    fn name(&self) -> &str {
        match self.extreme {
            Extreme::Least => "min_by",
            Extreme::Greatest => "max_by",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, _] => Ok(value.clone()),
            _ => {
                let name = self.name();
                plan_err!("{name} takes a value and a key; hint: {name}(value, key)")
            }
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(self.name(), &arguments)?;
        let types = arguments.exprs.iter().map(|expr| expr.data_type(arguments.schema));
        match types.collect::<Result<Vec<_>>>()?.as_slice() {
            [value, key] => Ok(Box::new(Best {
                extreme: self.extreme,
                value: ScalarValue::try_from(value)?,
                key: ScalarValue::try_from(key)?,
            })),
            _ => plan_err!("{} takes a value and a key", self.name()),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = arguments.input_fields.iter().zip(["value", "key"]);
        let field = |(field, part): (&FieldRef, &str)| {
            Field::new(format!("{}[{part}]", arguments.name), field.data_type().clone(), true).into()
        };
        Ok(fields.map(field).collect())
    }
}

/// The best row so far; its key is null before the first.
#[derive(Debug)]
struct Best {
    extreme: Extreme,
    value: ScalarValue,
    key: ScalarValue,
}

impl Accumulator for Best {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let [values, keys, ..] = arguments else { return Ok(()) };
        let options = SortOptions { descending: self.extreme == Extreme::Greatest, nulls_first: false };
        let order = make_comparator(keys, keys, options)?;
        // The first of equals: min_by keeps the earlier one.
        let Some(best) = (0..keys.len()).filter(|row| keys.is_valid(*row)).min_by(|a, b| order(*a, *b))
        else {
            return Ok(());
        };
        let key = ScalarValue::try_from_array(keys, best)?;
        let is_better = match self.extreme {
            _ if self.key.is_null() => true,
            Extreme::Least => key < self.key,
            Extreme::Greatest => key > self.key,
        };
        if is_better {
            self.value = ScalarValue::try_from_array(values, best)?;
            self.key = key;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) - size_of_val(&self.value) - size_of_val(&self.key)
            + self.value.size()
            + self.key.size()
    }
}
