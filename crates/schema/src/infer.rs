//! Reading a schema off payloads, and growing one by what a payload brings. The slow path: a stream takes it once
//! for each new property, never for a message that fits.

use serde_json::{Map, Value};
use springhouse_model::ValueType;

use crate::columns::column_name;
use crate::{DEVICE_COLUMN, Field, Mode, Reason, Rejection, SITE_COLUMN, Schema, TS_COLUMN};

/// Properties of one stream. Wide machines have some hundred tags; more is a sender that puts data into names.
pub const FIELDS_MAX: usize = 1_000;
/// Bytes of a flattened property name.
const NAME_BYTES_MAX: usize = 128;

/// Whether a property can have this name.
pub fn is_property_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}
/// As [`Limits::object_depth_max`](crate::Limits).
const DEPTH_MAX: usize = 8;

impl Schema {
    /// The schema of a stream of which only this payload is known. It grows, and its types are guesses.
    pub fn infer(payload: &[u8]) -> Result<Schema, Rejection> {
        let empty = Schema { version: 1, fields: Vec::new(), additional: true, inferred: true };
        let widened = empty.widened_by(payload)?;
        Ok(Schema { version: 1, ..widened.unwrap_or(empty) })
    }

    /// The next version, under which this payload fits; `None` when it fits already. Refused when the schema does
    /// not grow, or when a type would have to change in a way that old readings cannot follow.
    pub fn widened_by(&self, payload: &[u8]) -> Result<Option<Schema>, Rejection> {
        self.widened_in(Mode::Identity, payload)
    }

    /// As [`widened_by`](Schema::widened_by), for lines of a file, where `device` and `site` are no properties.
    pub fn widened_in(&self, mode: Mode, payload: &[u8]) -> Result<Option<Schema>, Rejection> {
        let value: Value =
            serde_json::from_slice(payload).map_err(|error| crate::decoder::syntax_rejection(&error))?;
        let mut draft = Draft { schema: self.clone(), mode, changed: false };
        match &value {
            Value::Object(row) => draft.row(row)?,
            Value::Array(rows) => {
                for row in rows {
                    let row = row.as_object().ok_or_else(|| not_an_object(row))?;
                    draft.row(row)?;
                }
            }
            other => return Err(not_an_object(other)),
        }
        draft.schema.version += 1;
        Ok(draft.changed.then_some(draft.schema))
    }
}

fn not_an_object(value: &Value) -> Rejection {
    Rejection::new(Reason::NotAnObject, format!("got {}", kind(value)))
}

struct Draft {
    schema: Schema,
    mode: Mode,
    changed: bool,
}

impl Draft {
    fn row(&mut self, row: &Map<String, Value>) -> Result<(), Rejection> {
        for (key, value) in row {
            match (self.mode, key.as_str()) {
                (_, TS_COLUMN) | (Mode::File, DEVICE_COLUMN | SITE_COLUMN) => {}
                (_, key) => self.property(key, value, 1)?,
            }
        }
        Ok(())
    }

    fn property(&mut self, flat: &str, value: &Value, depth: usize) -> Result<(), Rejection> {
        let ty = match value {
            Value::Null => return Ok(()),
            Value::Object(_) if depth >= DEPTH_MAX => {
                return Err(Rejection::new(
                    Reason::TooDeep,
                    format!("more than {DEPTH_MAX} objects in each other"),
                ));
            }
            Value::Object(inner) => {
                for (key, value) in inner {
                    self.property(&format!("{flat}_{key}"), value, depth + 1)?;
                }
                return Ok(());
            }
            Value::Bool(_) => ValueType::Bool,
            Value::Number(number) if number.is_i64() => ValueType::Int,
            Value::Number(_) => ValueType::Float,
            // Texts that look like times stay texts: the next one may not look like one.
            Value::String(_) | Value::Array(_) => ValueType::Text,
        };
        self.leaf(flat, ty, value)
    }

    fn leaf(&mut self, flat: &str, ty: ValueType, value: &Value) -> Result<(), Rejection> {
        let name = column_name(flat);
        let Some(field) = self.schema.fields.iter_mut().find(|field| field.name == name) else {
            return self.add(&name, ty);
        };
        match (field.ty, ty) {
            (old, seen) if old == seen => Ok(()),
            (ValueType::Float | ValueType::Time, ValueType::Int) | (ValueType::Time, _) => Ok(()),
            (ValueType::Int, ValueType::Float) if self.schema.additional && self.schema.inferred => {
                field.ty = ValueType::Float;
                self.changed = true;
                Ok(())
            }
            (ValueType::Int, ValueType::Float)
                if value.as_f64().is_some_and(|number| number.fract() == 0.0) =>
            {
                Ok(())
            }
            (old, _) => {
                let detail = format!("`{name}`: expected {}, got {}", type_name(old), kind(value));
                Err(Rejection::new(Reason::WrongType, detail))
            }
        }
    }

    fn add(&mut self, name: &str, ty: ValueType) -> Result<(), Rejection> {
        if !self.schema.additional {
            return Err(Rejection::new(Reason::UnknownField, format!("`{name}` is not in the schema")));
        }
        if !is_property_name(name) {
            let detail = format!("a property name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
            return Err(Rejection::new(Reason::BadName, detail));
        }
        if self.schema.fields.len() >= FIELDS_MAX {
            return Err(Rejection::new(Reason::TooManyFields, format!("at most {FIELDS_MAX} properties")));
        }
        self.schema.fields.push(Field::new(name, ty));
        self.changed = true;
        Ok(())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(crate) fn type_name(ty: ValueType) -> &'static str {
    match ty {
        ValueType::Bool => "boolean",
        ValueType::Int => "integer",
        ValueType::Float => "number",
        ValueType::Text => "text",
        ValueType::Time => "time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(schema: &Schema) -> Vec<(&str, ValueType)> {
        schema.fields.iter().map(|field| (field.name.as_str(), field.ty)).collect()
    }

    #[test]
    fn types_are_read_off_the_first_payload() {
        let schema =
            Schema::infer(br#"{"ts":1,"t":20.5,"n":3,"on":true,"s":"x","list":[1],"color":{"x":0.1},"nothing":null,"device":"d"}"#)
                .unwrap();
        use ValueType::{Bool, Float, Int, Text};
        let expected = [
            ("t", Float),
            ("n", Int),
            ("on", Bool),
            ("s", Text),
            ("list", Text),
            ("color_x", Float),
            ("device_", Text),
        ];
        assert_eq!(types(&schema), expected);
        assert!(schema.additional && schema.inferred && schema.version == 1);
    }

    #[test]
    fn a_growing_schema_gains_properties_and_turns_int_into_float() {
        let first = Schema::infer(br#"{"t":20}"#).unwrap();
        assert_eq!(first.widened_by(br#"{"t":21}"#).unwrap(), None);
        let second = first.widened_by(br#"[{"t":21.5},{"new":true}]"#).unwrap().unwrap();
        assert_eq!(types(&second), [("t", ValueType::Float), ("new", ValueType::Bool)]);
        assert_eq!(second.version, 2);
        assert_eq!(second.widened_by(br#"{"t":"hot"}"#).unwrap_err().reason, Reason::WrongType);
    }

    #[test]
    fn a_frozen_schema_refuses_what_it_does_not_have() {
        let frozen = Schema { additional: false, ..Schema::infer(br#"{"t":20}"#).unwrap() };
        assert_eq!(frozen.widened_by(br#"{"u":1}"#).unwrap_err().reason, Reason::UnknownField);
        assert_eq!(frozen.widened_by(br#"{"t":1.5}"#).unwrap_err().reason, Reason::WrongType);
        assert_eq!(frozen.widened_by(br#"{"u":null}"#).unwrap(), None);
    }

    #[test]
    fn a_declared_integer_stays_one_while_the_schema_grows() {
        let declared = Schema { additional: true, ..Schema::new(vec![Field::new("n", ValueType::Int)]) };
        assert_eq!(declared.widened_by(br#"{"n":1.5}"#).unwrap_err().reason, Reason::WrongType);
        assert!(declared.widened_by(br#"{"n":1,"m":2}"#).unwrap().is_some());
    }

    #[test]
    fn names_and_numbers_of_properties_are_bounded() {
        let many: Map<String, Value> = (0..=FIELDS_MAX).map(|n| (format!("p{n}"), Value::from(n))).collect();
        let payload = serde_json::to_vec(&many).unwrap();
        assert_eq!(Schema::infer(&payload).unwrap_err().reason, Reason::TooManyFields);
        assert_eq!(Schema::infer(br#"{"":1}"#).unwrap_err().reason, Reason::BadName);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(9), "}".repeat(9));
        assert_eq!(Schema::infer(deep.as_bytes()).unwrap_err().reason, Reason::TooDeep);
    }
}
