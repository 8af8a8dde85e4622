//! The stream of late rows: the columns of the source, or all columns of several, and by how much each row was late.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use springhouse_model::ValueType;
use springhouse_schema::{Field, Schema};

use super::StreamTable;
use crate::operators::LateRows;

/// How much too late a row came, in microseconds.
const LATE_BY: &str = "late_by_us";
/// Of which stream it is, where there are several.
const STREAM: &str = "stream";

#[derive(Debug)]
pub(super) struct Late {
    arrow: SchemaRef,
    /// For each source, what its rows put into each column.
    columns: Vec<Vec<Content>>,
}

/// What is in a column of a late row.
#[derive(Clone, Debug)]
enum Content {
    /// A column of the source.
    Source(usize),
    Nothing,
    StreamName(String),
    LateBy,
}

impl Late {
    pub(super) fn of(sources: &[StreamTable]) -> (Late, Schema) {
        let mut fields: Vec<Field> = Vec::new();
        // For each source, which of its properties is in which field.
        let mut places: Vec<Vec<(String, String)>> = Vec::new();
        for source in sources {
            let mut own = Vec::new();
            for field in &source.schema.fields {
                let name = place(&mut fields, field, source, sources.len() > 1);
                own.push((name, field.name.clone()));
            }
            places.push(own);
        }
        let several = (sources.len() > 1).then(|| add(&mut fields, Field::new(STREAM, ValueType::Text)));
        let late_by = add(&mut fields, Field::new(LATE_BY, ValueType::Int).with_unit("us"));
        let schema = Schema::new(fields);
        let arrow = schema.arrow();
        let columns = sources.iter().zip(&places).map(|(source, places)| {
            let own = source.schema.arrow();
            let content = |name: &String| {
                if *name == late_by {
                    return Content::LateBy;
                }
                if Some(name) == several.as_ref() {
                    return Content::StreamName(source.name.to_string());
                }
                let property = places.iter().find(|(place, _)| place == name);
                let from = property.map_or(name, |(_, property)| property);
                let is_own = property.is_some() || schema.field(name).is_none();
                own.index_of(from).ok().filter(|_| is_own).map_or(Content::Nothing, Content::Source)
            };
            arrow.fields().iter().map(|field| content(field.name())).collect()
        });
        let columns = columns.collect();
        (Late { arrow, columns }, schema)
    }

    /// Late rows of a source as a batch of the stream.
    pub(super) fn shape(&self, late: &LateRows) -> Result<RecordBatch, ArrowError> {
        let rows = late.rows.num_rows();
        let contents = self.arrow.fields().iter().zip(&self.columns[late.rows_of]);
        let columns = contents.map(|(field, content)| -> Result<ArrayRef, ArrowError> {
            match content {
                Content::Source(column) => cast(late.rows.column(*column), field.data_type()),
                Content::Nothing => Ok(new_null_array(field.data_type(), rows)),
                Content::StreamName(name) => {
                    Ok(Arc::new(StringArray::from_iter_values((0..rows).map(|_| name))))
                }
                Content::LateBy => Ok(Arc::new(late.late_by_us.clone())),
            }
        });
        RecordBatch::try_new(Arc::clone(&self.arrow), columns.collect::<Result<_, _>>()?)
    }
}

/// Adds the property of a source, or finds the one that takes it in, and returns its name.
fn place(fields: &mut Vec<Field>, field: &Field, source: &StreamTable, is_shared: bool) -> String {
    if !is_shared {
        fields.push(field.clone());
        return field.name.clone();
    }
    let optional = |name: &str| Field { name: name.to_owned(), required: false, ..field.clone() };
    match fields.iter_mut().find(|known| known.name == field.name) {
        Some(known) if known.ty == field.ty => known.name.clone(),
        Some(known) if is_number(known.ty) && is_number(field.ty) => {
            known.ty = ValueType::Float;
            known.name.clone()
        }
        Some(_) => add(fields, optional(&format!("{}_{}", source.name, field.name))),
        None => add(fields, optional(&field.name)),
    }
}

fn is_number(ty: ValueType) -> bool {
    matches!(ty, ValueType::Int | ValueType::Float)
}

/// Adds a field under its name, or one like it that is not taken.
fn add(fields: &mut Vec<Field>, mut field: Field) -> String {
    while fields.iter().any(|known| known.name == field.name) {
        field.name.push('_');
    }
    fields.push(field.clone());
    field.name
}
