//! The columns that every stream has, and how properties become columns beside them.
//!
//! ```text
//! ts │ device │ site │ properties of the schema … │ _received │ _id
//! ```

use std::borrow::Cow;

use arrow::datatypes::{DataType, TimeUnit};
use springhouse_model::ValueType;

/// Event time, never null.
pub const TS_COLUMN: &str = "ts";
/// The device that sent the reading; null in rows that a pipeline computed over several devices.
pub const DEVICE_COLUMN: &str = "device";
pub const SITE_COLUMN: &str = "site";
/// When the message arrived.
pub const RECEIVED_COLUMN: &str = "_received";
/// The message id by which repeated deliveries are recognized.
pub const ID_COLUMN: &str = "_id";

pub fn is_system_column(name: &str) -> bool {
    matches!(name, TS_COLUMN | DEVICE_COLUMN | SITE_COLUMN | RECEIVED_COLUMN | ID_COLUMN)
}

/// The column of a flattened property: its own name, except that a name of a system column gets `_` appended.
pub fn column_name(property: &str) -> Cow<'_, str> {
    match is_system_column(property) {
        true => Cow::Owned(format!("{property}_")),
        false => Cow::Borrowed(property),
    }
}

/// The one Arrow type of a value type.
pub fn arrow_type(ty: ValueType) -> DataType {
    match ty {
        ValueType::Bool => DataType::Boolean,
        ValueType::Int => DataType::Int64,
        ValueType::Float => DataType::Float64,
        ValueType::Text => DataType::Utf8,
        ValueType::Time => time_type(),
    }
}

/// The value type that an Arrow type stands for, when it is one of ours.
pub fn value_type(ty: &DataType) -> Option<ValueType> {
    match ty {
        DataType::Boolean => Some(ValueType::Bool),
        DataType::Int64 => Some(ValueType::Int),
        DataType::Float64 => Some(ValueType::Float),
        DataType::Utf8 => Some(ValueType::Text),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            Some(ValueType::Time)
        }
        _ => None,
    }
}

pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_type_has_one_arrow_type() {
        for ty in [ValueType::Bool, ValueType::Int, ValueType::Float, ValueType::Text, ValueType::Time] {
            assert_eq!(value_type(&arrow_type(ty)), Some(ty));
        }
        assert_eq!(value_type(&DataType::Int32), None);
    }

    #[test]
    fn properties_step_aside_for_system_columns() {
        assert_eq!(column_name("device"), "device_");
        assert_eq!(column_name("_id"), "_id_");
        assert_eq!(column_name("power"), "power");
    }
}
