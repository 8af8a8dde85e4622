//! The columns of a table, its key and since when rows hold.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use springhouse_model::ValueType;
use springhouse_schema::arrow_type;

use crate::statement::{Column, CreateTable};

/// Tells from the schema of a table which of its columns is VALID FROM; empty for none.
const VALID_FROM: &str = "springhouse.valid_from";

/// What a table declares of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub columns: Vec<Column>,
    /// The places of the columns that tell rows apart.
    pub key: Vec<usize>,
    /// The place of the column that says since when a row holds: a key may then have several rows.
    pub valid_from: Option<usize>,
    schema: SchemaRef,
}

impl Definition {
    pub fn of(table: &CreateTable) -> Definition {
        let field = |column: &Column| Field::new(&column.name, arrow_type(column.ty), !column.required);
        let since = table.valid_from.map(|at| table.columns[at].name.clone()).unwrap_or_default();
        let notes = HashMap::from([(VALID_FROM.to_owned(), since)]);
        let fields: Vec<Field> = table.columns.iter().map(field).collect();
        Definition {
            columns: table.columns.clone(),
            key: table.key.clone(),
            valid_from: table.valid_from,
            schema: Arc::new(ArrowSchema::new_with_metadata(fields, notes)),
        }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn types(&self) -> impl Iterator<Item = ValueType> {
        self.columns.iter().map(|column| column.ty)
    }

    /// `device, region`.
    pub fn key_names(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|at| self.columns[*at].name.as_str()).collect();
        names.join(", ")
    }

    pub fn valid_from_name(&self) -> Option<&str> {
        self.valid_from.map(|at| self.columns[at].name.as_str())
    }
}

/// Of the schema of a table, the column that says since when a row holds; `None` for what is no table, `Some(None)` for one
/// without.
pub(crate) fn valid_from_of(schema: &ArrowSchema) -> Option<Option<&str>> {
    let name = schema.metadata().get(VALID_FROM)?;
    Some((!name.is_empty()).then_some(name.as_str()))
}
