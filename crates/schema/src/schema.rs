//! The type of a stream: its properties in order, and whether it still grows.

use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use serde::{Deserialize, Serialize};
use springhouse_model::ValueType;

use crate::columns::{
    DEVICE_COLUMN, ID_COLUMN, RECEIVED_COLUMN, SITE_COLUMN, TS_COLUMN, arrow_type, time_type,
};

/// One property of a reading, as a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: ValueType,
    /// A reading without it is refused.
    #[serde(default)]
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Field {
    pub fn new(name: impl Into<String>, ty: ValueType) -> Field {
        Field { name: name.into(), ty, required: false, unit: None, description: None }
    }

    pub fn required(mut self) -> Field {
        self.required = true;
        self
    }

    pub fn with_unit(mut self, unit: impl Into<String>) -> Field {
        self.unit = Some(unit.into());
        self
    }
}

/// The properties of a stream's readings. Versions of a stream's schema count from 1; each can be read as the
/// others by [`adapt`](crate::adapt).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub version: u32,
    pub fields: Vec<Field>,
    /// Properties that are not listed are allowed: the schema grows by them.
    #[serde(default)]
    pub additional: bool,
    /// The types were read off payloads, not declared: while the schema grows, an Int that turns out to carry
    /// fractions becomes a Float.
    #[serde(default)]
    pub inferred: bool,
}

impl Schema {
    /// A declared schema, version 1, that does not grow.
    pub fn new(fields: Vec<Field>) -> Schema {
        Schema { version: 1, fields, additional: false, inferred: false }
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// All columns of the stream, system columns included.
    pub fn arrow(&self) -> SchemaRef {
        let mut columns = vec![
            ArrowField::new(TS_COLUMN, time_type(), false),
            ArrowField::new(DEVICE_COLUMN, arrow_type(ValueType::Text), true),
            ArrowField::new(SITE_COLUMN, arrow_type(ValueType::Text), true),
        ];
        let properties = self.fields.iter();
        columns.extend(
            properties.map(|field| ArrowField::new(&field.name, arrow_type(field.ty), !field.required)),
        );
        columns.push(ArrowField::new(RECEIVED_COLUMN, time_type(), true));
        columns.push(ArrowField::new(ID_COLUMN, arrow_type(ValueType::Text), true));
        Arc::new(ArrowSchema::new(columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_columns_frame_the_properties() {
        let schema = Schema::new(vec![Field::new("power", ValueType::Float).required()]);
        let arrow = schema.arrow();
        let names: Vec<_> = arrow.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["ts", "device", "site", "power", "_received", "_id"]);
        assert!(
            !arrow.field(0).is_nullable() && !arrow.field(3).is_nullable() && arrow.field(1).is_nullable()
        );
    }

    #[test]
    fn schemas_are_stored_as_json() {
        let schema = Schema::new(vec![Field::new("power", ValueType::Float).with_unit("W")]);
        let text = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
    }
}
