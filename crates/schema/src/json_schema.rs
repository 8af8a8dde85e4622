//! JSON Schema in and out: the part of it that says what a row of a table is.
//!
//! Read: `type` (also `["…", "null"]`), `format: date-time`, `properties`, `required`, `additionalProperties` as a
//! boolean, `unit` or `x-unit`, nested objects (flattened). Annotations are ignored. Anything else would be a promise
//! that is not kept, so it is refused by name.

use serde_json::{Map, Value, json};
use springhouse_model::ValueType;

use crate::columns::column_name;
use crate::infer::FIELDS_MAX;
use crate::{Field, Schema, TS_COLUMN};

const DEPTH_MAX: usize = 8;
/// Keywords that describe and do not restrict.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "unit",
    "x-unit",
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonSchemaError {
    #[error("{path}: keyword `{keyword}` is not supported; hint: {SUPPORTED}")]
    Keyword { path: String, keyword: String },
    #[error("{path}: `{keyword}` is {got}, expected {expected}")]
    Value { path: String, keyword: &'static str, got: String, expected: &'static str },
    #[error("{path}: required property `{name}` is not among the properties")]
    RequiredUnknown { path: String, name: String },
    #[error("two properties become the column `{name}`; hint: nested names are joined by `_`")]
    Clash { name: String },
    #[error("at most {FIELDS_MAX} properties and {DEPTH_MAX} levels are allowed")]
    TooLarge,
}

const SUPPORTED: &str =
    "type, format date-time, properties, required, additionalProperties, unit and descriptions are";

impl Schema {
    /// A declared schema, version 1. As JSON Schema has it, further properties are allowed unless it says otherwise.
    pub fn from_json_schema(document: &Value) -> Result<Schema, JsonSchemaError> {
        let root = Place { path: "schema".to_owned(), prefix: String::new(), required: true, depth: 0 };
        let mut schema = Schema { additional: true, ..Schema::new(Vec::new()) };
        read_object(document, &root, &mut schema)?;
        Ok(schema)
    }

    /// The schema as a JSON Schema of the payload (2020-12), flat; `ts` is described as well.
    pub fn to_json_schema(&self) -> Value {
        let mut properties = Map::new();
        properties.insert(
            TS_COLUMN.to_owned(),
            json!({
                "type": ["string", "integer"],
                "description": "event time: RFC 3339, or epoch seconds, milliseconds or microseconds; arrival time if absent"
            }),
        );
        for field in &self.fields {
            properties.insert(field.name.clone(), property_document(field));
        }
        let required: Vec<_> =
            self.fields.iter().filter(|field| field.required).map(|field| field.name.clone()).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": self.additional,
        })
    }
}

fn property_document(field: &Field) -> Value {
    let mut document = match field.ty {
        ValueType::Bool => json!({"type": "boolean"}),
        ValueType::Int => json!({"type": "integer"}),
        ValueType::Float => json!({"type": "number"}),
        ValueType::Text => json!({"type": "string"}),
        ValueType::Time => json!({"type": "string", "format": "date-time"}),
    };
    if let Some(unit) = &field.unit {
        document["x-unit"] = json!(unit);
    }
    if let Some(description) = &field.description {
        document["description"] = json!(description);
    }
    document
}

/// Where in the document the reader is.
struct Place {
    path: String,
    prefix: String,
    /// All objects around it are required, so that a required property is really always there.
    required: bool,
    depth: usize,
}

fn read_object(document: &Value, place: &Place, schema: &mut Schema) -> Result<(), JsonSchemaError> {
    let keywords = as_object(document, place, "schema")?;
    let known =
        |keyword: &str| matches!(keyword, "type" | "properties" | "required" | "additionalProperties");
    refuse_unknown(keywords, place, known)?;
    if let Some(ty) = keywords.get("type")
        && type_word(ty, place)? != "object"
    {
        return Err(place.value("type", ty, "`object`"));
    }
    match keywords.get("additionalProperties") {
        None => {}
        // One answer for the whole table: the strictest object decides.
        Some(Value::Bool(allowed)) => schema.additional &= *allowed,
        Some(other) => return Err(place.value("additionalProperties", other, "true or false")),
    }
    let none = Map::new();
    let properties = match keywords.get("properties") {
        None => &none,
        Some(properties) => as_object(properties, place, "properties")?,
    };
    let required = required_names(keywords, properties, place)?;
    for (name, property) in properties {
        let is_required = required.contains(&name.as_str());
        // The event time is a column of every stream.
        if place.depth > 0 || name != TS_COLUMN {
            read_property(name, property, is_required, place, schema)?;
        }
    }
    Ok(())
}

fn read_property(
    name: &str,
    document: &Value,
    is_required: bool,
    place: &Place,
    schema: &mut Schema,
) -> Result<(), JsonSchemaError> {
    let flat = format!("{}{name}", place.prefix);
    let here = Place {
        path: format!("{}.{name}", place.path),
        prefix: format!("{flat}_"),
        required: place.required && is_required,
        depth: place.depth + 1,
    };
    if here.depth > DEPTH_MAX || schema.fields.len() >= FIELDS_MAX {
        return Err(JsonSchemaError::TooLarge);
    }
    let keywords = as_object(document, &here, "property")?;
    let Some(ty) = keywords.get("type") else {
        return Err(here.value("type", &Value::Null, "a type"));
    };
    let ty = match (type_word(ty, &here)?, keywords.get("format").and_then(Value::as_str)) {
        ("object", _) => return read_object(document, &here, schema),
        ("array", _) => ValueType::Text,
        ("string", Some("date-time")) => ValueType::Time,
        ("string", None) => ValueType::Text,
        ("boolean", None) => ValueType::Bool,
        ("integer", None) => ValueType::Int,
        ("number", None) => ValueType::Float,
        (_, Some(format)) => return Err(here.value("format", &json!(format), "`date-time` on a string")),
        _ => return Err(here.value("type", ty, "string, number, integer, boolean, object or array")),
    };
    let array = keywords.get("type").and_then(Value::as_str) == Some("array");
    refuse_unknown(keywords, &here, |keyword| {
        matches!(keyword, "type" | "format") || (array && keyword == "items")
    })?;
    let column = column_name(&flat).into_owned();
    if schema.field(&column).is_some() {
        return Err(JsonSchemaError::Clash { name: column });
    }
    let text = |keyword: &str| keywords.get(keyword).and_then(Value::as_str).map(str::to_owned);
    schema.fields.push(Field {
        name: column,
        ty,
        required: here.required,
        unit: text("x-unit").or_else(|| text("unit")),
        description: text("description"),
    });
    Ok(())
}

/// The type itself; `["number", "null"]` is `number`, since null always means missing.
fn type_word<'a>(ty: &'a Value, place: &Place) -> Result<&'a str, JsonSchemaError> {
    match ty {
        Value::String(word) => Ok(word),
        Value::Array(words) => {
            let words: Vec<_> =
                words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect();
            match words[..] {
                [word] => Ok(word),
                _ => Err(place.value("type", ty, "one type, or one type and `null`")),
            }
        }
        other => Err(place.value("type", other, "a type")),
    }
}

fn required_names<'a>(
    keywords: &'a Map<String, Value>,
    properties: &Map<String, Value>,
    place: &Place,
) -> Result<Vec<&'a str>, JsonSchemaError> {
    let Some(required) = keywords.get("required") else { return Ok(Vec::new()) };
    let Some(names) = required.as_array() else {
        return Err(place.value("required", required, "an array of names"));
    };
    let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
    match names.iter().find(|name| !properties.contains_key(**name)) {
        Some(name) => {
            Err(JsonSchemaError::RequiredUnknown { path: place.path.clone(), name: (*name).to_owned() })
        }
        None => Ok(names),
    }
}

fn refuse_unknown(
    keywords: &Map<String, Value>,
    place: &Place,
    known: impl Fn(&str) -> bool,
) -> Result<(), JsonSchemaError> {
    match keywords.keys().find(|keyword| !known(keyword) && !ANNOTATIONS.contains(&keyword.as_str())) {
        Some(keyword) => Err(JsonSchemaError::Keyword { path: place.path.clone(), keyword: keyword.clone() }),
        None => Ok(()),
    }
}

fn as_object<'a>(
    value: &'a Value,
    place: &Place,
    keyword: &'static str,
) -> Result<&'a Map<String, Value>, JsonSchemaError> {
    value.as_object().ok_or_else(|| place.value(keyword, value, "an object"))
}

impl Place {
    fn value(&self, keyword: &'static str, got: &Value, expected: &'static str) -> JsonSchemaError {
        JsonSchemaError::Value { path: self.path.clone(), keyword, got: got.to_string(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: Value) -> Result<Schema, JsonSchemaError> {
        Schema::from_json_schema(&document)
    }

    #[test]
    fn the_supported_part_is_read() {
        let schema = read(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Meter",
            "type": "object",
            "required": ["power", "where"],
            "additionalProperties": false,
            "properties": {
                "ts": {"type": "string", "format": "date-time"},
                "power": {"type": "number", "unit": "W", "description": "active power"},
                "count": {"type": ["integer", "null"]},
                "since": {"type": "string", "format": "date-time"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "device": {"type": "string"},
                "where": {
                    "type": "object",
                    "required": ["room"],
                    "properties": {"room": {"type": "string"}, "floor": {"type": "integer", "x-unit": "1"}}
                }
            }
        }))
        .unwrap();
        let names: Vec<_> =
            schema.fields.iter().map(|field| (field.name.as_str(), field.ty, field.required)).collect();
        use ValueType::{Float, Int, Text, Time};
        let expected = [
            ("power", Float, true),
            ("count", Int, false),
            ("since", Time, false),
            ("tags", Text, false),
            ("device_", Text, false),
            ("where_room", Text, true),
            ("where_floor", Int, false),
        ];
        assert_eq!(names, expected);
        assert_eq!(schema.fields[0].unit.as_deref(), Some("W"));
        assert!(!schema.additional && !schema.inferred);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (document, word) in [
            (json!({"type": "object", "properties": {"a": {"type": "number", "minimum": 0}}}), "minimum"),
            (json!({"anyOf": []}), "anyOf"),
            (json!({"properties": {"a": {}}}), "type"),
            (json!({"properties": {"a": {"type": ["string", "number"]}}}), "one type"),
            (json!({"properties": {"a": {"type": "string", "format": "uuid"}}}), "format"),
            (json!({"additionalProperties": {"type": "string"}}), "additionalProperties"),
            (json!({"required": ["b"], "properties": {}}), "`b`"),
            (json!({"type": "array"}), "`object`"),
            (json!([]), "an object"),
            (
                json!({"properties": {"a_b": {"type": "string"}, "a": {"type": "object", "properties": {"b": {"type": "string"}}}}}),
                "a_b",
            ),
        ] {
            let error = read(document.clone()).unwrap_err().to_string();
            assert!(error.contains(word), "{document}: {error}");
        }
    }

    #[test]
    fn a_schema_survives_the_way_out_and_in() {
        let mut schema = Schema::new(vec![
            Field::new("a", ValueType::Float).required().with_unit("W"),
            Field::new("b", ValueType::Time),
            Field::new("c", ValueType::Bool),
            Field::new("d", ValueType::Text),
            Field::new("e", ValueType::Int),
        ]);
        schema.fields[1].description = Some("since when".to_owned());
        assert_eq!(read(schema.to_json_schema()).unwrap(), schema);
    }
}
