//! The keys by which sessions and counted windows are told apart.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use arrow::row::{RowConverter, Rows, SortField};

use super::keys::without_negative_zero;
use crate::RunError;
use crate::plan::AggregateStep;

const UNCOMPARABLE: RunError = RunError::State { what: "the keys of windows cannot be compared" };

/// Some of the keys of the groups, as bytes.
pub(super) struct WindowKeys {
    columns: Vec<usize>,
    fields: Vec<Field>,
    /// `None` when they cannot be compared, which planning has refused.
    converter: Option<RowConverter>,
}

/// The keys of a batch.
pub(super) struct KeyBytes(Option<Rows>);

impl WindowKeys {
    pub fn new(step: &AggregateStep, columns: Vec<usize>) -> WindowKeys {
        let fields: Vec<Field> = columns.iter().map(|key| step.key_schema.field(*key).clone()).collect();
        let types = fields.iter().map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(types.collect()).ok();
        WindowKeys { columns, fields, converter }
    }

    /// Whether the keys can be compared.
    pub fn check(&self) -> Result<(), RunError> {
        self.converter.as_ref().map(drop).ok_or(UNCOMPARABLE)
    }

    /// Their columns in a state.
    pub fn fields(&self) -> Vec<Field> {
        self.fields.clone()
    }

    /// Of rows, by the keys of their groups.
    pub fn of_groups(&self, keys: &[ArrayRef]) -> Result<KeyBytes, RunError> {
        let own: Vec<ArrayRef> = self.columns.iter().map(|key| keys[*key].clone()).collect();
        self.of(&own)
    }

    /// Of the columns of a state.
    pub fn of(&self, keys: &[ArrayRef]) -> Result<KeyBytes, RunError> {
        if self.columns.is_empty() {
            return Ok(KeyBytes(None));
        }
        let columns: Vec<ArrayRef> = keys.iter().map(without_negative_zero).collect();
        let converter = self.converter.as_ref().ok_or(UNCOMPARABLE)?;
        Ok(KeyBytes(Some(converter.convert_columns(&columns)?)))
    }

    /// The columns that bytes were made of.
    pub fn columns<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, RunError> {
        match &self.converter {
            Some(converter) if !self.columns.is_empty() => {
                let parser = converter.parser();
                Ok(converter.convert_rows(keys.map(|key| parser.parse(key)))?)
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl KeyBytes {
    /// They compare as the values do; of all rows the same where there is no key.
    pub fn of_row(&self, row: usize) -> &[u8] {
        self.0.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}
