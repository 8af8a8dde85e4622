//! Between the versions of a schema: what may change, and reading a batch of one version as another.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field as ArrowField};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use springhouse_model::ValueType;

use crate::Schema;
use crate::infer::type_name;

/// The batch cannot be read by this schema.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    #[error("column `{column}` is {got}, expected {expected}")]
    Type { column: String, got: DataType, expected: DataType },
    #[error("column `{column}` is missing or null where the schema requires a value")]
    Missing { column: String },
    #[error("cannot build the batch")]
    Arrow(#[from] ArrowError),
}

/// Reads a batch of another version as `to`: columns that it lacks become null, columns that `to` lacks fall away,
/// integers become floats where `to` says so. A batch that has the columns already comes back as it is.
pub fn adapt(batch: &RecordBatch, to: &Schema) -> Result<RecordBatch, AdaptError> {
    let target = to.arrow();
    if batch.schema_ref() == &target {
        return Ok(batch.clone());
    }
    let columns = target
        .fields()
        .iter()
        .map(|field| adapt_column(batch, field))
        .collect::<Result<Vec<_>, AdaptError>>()?;
    Ok(RecordBatch::try_new(target, columns)?)
}

fn adapt_column(batch: &RecordBatch, field: &ArrowField) -> Result<ArrayRef, AdaptError> {
    let column = match batch.column_by_name(field.name()) {
        None => new_null_array(field.data_type(), batch.num_rows()),
        Some(column) => match (column.data_type(), field.data_type()) {
            (got, expected) if got == expected => Arc::clone(column),
            (DataType::Int64, DataType::Float64) => cast(column, &DataType::Float64)?,
            (got, expected) => {
                let (got, expected) = (got.clone(), expected.clone());
                return Err(AdaptError::Type { column: field.name().clone(), got, expected });
            }
        },
    };
    match !field.is_nullable() && column.null_count() > 0 {
        true => Err(AdaptError::Missing { column: field.name().clone() }),
        false => Ok(column),
    }
}

/// Why one version cannot follow another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incompatibility {
    Removed {
        name: String,
    },
    TypeChanged {
        name: String,
        from: ValueType,
        to: ValueType,
    },
    /// Readings that are stored already may lack it.
    BecameRequired {
        name: String,
    },
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incompatibility::Removed { name } => {
                write!(f, "`{name}` is gone; hint: keep it, it may stay empty")
            }
            Incompatibility::TypeChanged { name, from, to } => {
                let (from, to) = (type_name(*from), type_name(*to));
                write!(
                    f,
                    "`{name}` changes from {from} to {to}; hint: only integer to number keeps stored readings"
                )
            }
            Incompatibility::BecameRequired { name } => {
                write!(f, "`{name}` becomes required, but stored readings may lack it")
            }
        }
    }
}

impl Schema {
    /// Why stored readings of `self` could not be read as `next`; empty when `next` may follow.
    pub fn incompatibilities(&self, next: &Schema) -> Vec<Incompatibility> {
        let mut found = Vec::new();
        for old in &self.fields {
            match next.field(&old.name) {
                None => found.push(Incompatibility::Removed { name: old.name.clone() }),
                Some(new) if new.ty != old.ty && (old.ty, new.ty) != (ValueType::Int, ValueType::Float) => {
                    found.push(Incompatibility::TypeChanged {
                        name: old.name.clone(),
                        from: old.ty,
                        to: new.ty,
                    });
                }
                Some(_) => {}
            }
        }
        let was_required = |name: &str| self.field(name).is_some_and(|old| old.required);
        let newly_required = next.fields.iter().filter(|new| new.required && !was_required(&new.name));
        found.extend(newly_required.map(|new| Incompatibility::BecameRequired { name: new.name.clone() }));
        found
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array};

    use super::*;
    use crate::{Decoder, Field, Limits, Mode, Origin};

    fn batch(schema: &Schema, payload: &str) -> RecordBatch {
        let mut decoder = Decoder::new(Arc::new(schema.clone()), Mode::Identity, Limits::default());
        let received = Some(springhouse_model::Timestamp(1_767_225_600_000_000));
        decoder.decode(&Origin { received, ..Origin::default() }, payload.as_bytes()).unwrap();
        decoder.finish().unwrap()
    }

    #[test]
    fn an_older_batch_reads_as_the_newer_version_and_back() {
        let old = Schema::new(vec![Field::new("n", ValueType::Int)]);
        let new = Schema::new(vec![Field::new("extra", ValueType::Text), Field::new("n", ValueType::Float)]);
        let adapted = adapt(&batch(&old, r#"{"n":3}"#), &new).unwrap();
        assert_eq!(adapted.schema(), new.arrow());
        let n = adapted.column_by_name("n").unwrap().as_any().downcast_ref::<Float64Array>().unwrap();
        assert_eq!(n.value(0), 3.0);
        assert_eq!(adapted.column_by_name("extra").unwrap().null_count(), 1);

        let narrow = Schema::new(vec![]);
        assert_eq!(adapt(&adapted, &narrow).unwrap().num_columns(), 5);
        assert!(matches!(adapt(&adapted, &old), Err(AdaptError::Type { .. })));
    }

    #[test]
    fn required_columns_are_not_made_up() {
        let old = Schema::new(vec![]);
        let new = Schema::new(vec![Field::new("n", ValueType::Int).required()]);
        assert!(matches!(adapt(&batch(&old, "{}"), &new), Err(AdaptError::Missing { .. })));
    }

    #[test]
    fn the_same_version_is_not_copied() {
        let schema = Schema::new(vec![Field::new("n", ValueType::Int)]);
        let before = batch(&schema, r#"{"n":3}"#);
        let after = adapt(&before, &schema).unwrap();
        let address = |batch: &RecordBatch| {
            batch.column(3).as_any().downcast_ref::<Int64Array>().unwrap().values().as_ptr()
        };
        assert_eq!(address(&before), address(&after));
    }

    #[test]
    fn incompatible_versions_say_why() {
        let old = Schema::new(vec![Field::new("a", ValueType::Int), Field::new("b", ValueType::Text)]);
        let fine = Schema::new(vec![
            Field::new("a", ValueType::Float),
            Field::new("b", ValueType::Text),
            Field::new("c", ValueType::Bool),
        ]);
        assert_eq!(old.incompatibilities(&fine), []);
        let bad =
            Schema::new(vec![Field::new("a", ValueType::Text), Field::new("c", ValueType::Bool).required()]);
        let reasons = old.incompatibilities(&bad);
        assert_eq!(reasons.len(), 3);
        assert!(reasons[0].to_string().contains("from integer to text"), "{}", reasons[0]);
    }
}
