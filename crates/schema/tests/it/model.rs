//! Random rows, written as JSON and decoded, against serde_json's own values as the model.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, cast::AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use springhouse_model::{Timestamp, ValueType};
use springhouse_schema::{Decoder, Field, Limits, Mode, Origin, Schema};

const ARRIVAL: Timestamp = Timestamp(1_767_268_800_000_000);

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("f", ValueType::Float),
        Field::new("i", ValueType::Int).required(),
        Field::new("b", ValueType::Bool),
        Field::new("t", ValueType::Text),
        Field::new("o_t", ValueType::Text),
        Field::new("o_f", ValueType::Float),
    ])
}

/// Values that fit and values that do not, for any column.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any::<f64>().prop_filter("JSON has finite numbers only", |f| f.is_finite()).prop_map(|f| json!(f)),
        3 => (-1_000_i64..1_000).prop_map(|i| json!(i)),
        1 => any::<i64>().prop_map(|i| json!(i)),
        1 => any::<u64>().prop_map(|i| json!(i)),
        2 => any::<bool>().prop_map(|b| json!(b)),
        3 => any::<String>().prop_map(|t| json!(t)),
        1 => Just(Value::Null),
        1 => proptest::collection::vec(any::<i8>(), 0..4).prop_map(|list| json!(list)),
    ]
}

/// A value that mostly fits the column.
fn fitting(column: &str) -> BoxedStrategy<Value> {
    match column {
        "f" | "o_f" => prop_oneof![
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| json!(f)),
            (-1_000_i64..1_000).prop_map(|i| json!(i)),
        ]
        .boxed(),
        "i" => any::<i64>().prop_map(|i| json!(i)).boxed(),
        "b" => any::<bool>().prop_map(|b| json!(b)).boxed(),
        _ => any::<String>().prop_map(|t| json!(t)).boxed(),
    }
}

prop_compose! {
    fn row()(
        f in proptest::option::of(prop_oneof![20 => fitting("f"), 1 => value()]),
        i in proptest::option::weighted(0.97, prop_oneof![20 => fitting("i"), 1 => value()]),
        b in proptest::option::of(prop_oneof![20 => fitting("b"), 1 => value()]),
        t in proptest::option::of(prop_oneof![20 => fitting("t"), 1 => value()]),
        nested in proptest::option::of((fitting("t"), proptest::option::of(fitting("f")))),
        ts in proptest::option::of(1_500_000_000_000_i64..1_767_268_800_000),
        shift in 0..6_usize,
    ) -> Value {
        let mut entries = Vec::new();
        for (name, value) in [("f", f), ("i", i), ("b", b), ("t", t), ("ts", ts.map(|ts| json!(ts)))] {
            entries.extend(value.map(|value| (name.to_owned(), value)));
        }
        if let Some((text, number)) = nested {
            let mut inner = Map::new();
            inner.insert("t".to_owned(), text);
            inner.extend(number.map(|number| ("f".to_owned(), number)));
            entries.push(("o".to_owned(), Value::Object(inner)));
        }
        let by = shift.min(entries.len());
        entries.rotate_left(by);
        Value::Object(entries.into_iter().collect())
    }
}

/// What the model says of one cell: `Err` when the value does not fit.
fn expected(ty: ValueType, value: Option<&Value>) -> Result<Option<Value>, ()> {
    const EXACT: i64 = 1 << 53;
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    match (ty, value) {
        (ValueType::Bool, Value::Bool(_)) | (ValueType::Text, Value::String(_)) => Ok(Some(value.clone())),
        (ValueType::Text, Value::Array(_)) => Ok(Some(Value::String(value.to_string()))),
        (ValueType::Float, Value::Number(number)) if number.is_f64() => Ok(Some(value.clone())),
        (ValueType::Float, Value::Number(number)) => match number.as_i64() {
            Some(whole) if (-EXACT..=EXACT).contains(&whole) => Ok(Some(json!(whole as f64))),
            _ => Err(()),
        },
        (ValueType::Int, Value::Number(number)) if number.is_i64() => Ok(Some(value.clone())),
        (ValueType::Int, Value::Number(number)) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT as f64 => {
                Ok(Some(json!(float as i64)))
            }
            _ => Err(()),
        },
        _ => Err(()),
    }
}

fn model(row: &Value) -> Result<Vec<Option<Value>>, ()> {
    let inner = |name: &str| row.get("o").and_then(|inner| inner.get(name));
    schema()
        .fields
        .iter()
        .map(|field| {
            let value = match field.name.as_str() {
                "o_t" => inner("t"),
                "o_f" => inner("f"),
                name => row.get(name),
            };
            let cell = expected(field.ty, value)?;
            if field.required && cell.is_none() { Err(()) } else { Ok(cell) }
        })
        .collect()
}

fn read(batch: &RecordBatch, field: &Field, row: usize) -> Option<Value> {
    let column = batch.column_by_name(&field.name).unwrap();
    column.is_valid(row).then(|| match field.ty {
        ValueType::Bool => json!(column.as_boolean().value(row)),
        ValueType::Int => json!(column.as_primitive::<Int64Type>().value(row)),
        ValueType::Float => json!(column.as_primitive::<Float64Type>().value(row)),
        ValueType::Text => json!(column.as_string::<i32>().value(row)),
        ValueType::Time => json!(column.as_primitive::<TimestampMicrosecondType>().value(row)),
    })
}

proptest! {
    #[test]
    fn decoding_agrees_with_the_model(messages in proptest::collection::vec(proptest::collection::vec(row(), 1..4), 1..12)) {
        let schema = schema();
        let mut decoder = Decoder::new(Arc::new(schema.clone()), Mode::Identity, Limits::default());
        let mut wanted = Vec::new();
        for rows in &messages {
            let payload = match rows.len() {
                1 => rows[0].to_string(),
                _ => Value::Array(rows.clone()).to_string(),
            };
            let modelled: Result<Vec<_>, ()> = rows.iter().map(|row| Ok((row, model(row)?))).collect();
            let origin = Origin { device: Some("d"), received: Some(ARRIVAL), ..Origin::default() };
            let decoded = decoder.decode(&origin, payload.as_bytes());
            prop_assert_eq!(decoded.is_ok(), modelled.is_ok(), "{}: {:?}", payload, decoded);
            wanted.extend(modelled.unwrap_or_default());
        }
        let batch = decoder.finish().unwrap();
        prop_assert_eq!(batch.num_rows(), wanted.len());
        let ts = batch.column(0).as_primitive::<TimestampMicrosecondType>().clone();
        for (index, (row, cells)) in wanted.iter().enumerate() {
            let time = row.get("ts").and_then(Value::as_i64).map_or(ARRIVAL.micros(), |millis| millis * 1_000);
            prop_assert_eq!(ts.value(index), time);
            for (field, cell) in schema.fields.iter().zip(cells) {
                prop_assert_eq!(&read(&batch, field, index), cell, "{} of {}", field.name, row);
            }
        }
    }

    #[test]
    fn any_bytes_end_in_rows_or_in_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new(Arc::new(schema()), Mode::Identity, Limits::default());
        let origin = Origin { received: Some(ARRIVAL), ..Origin::default() };
        let outcome = decoder.decode(&origin, &bytes);
        prop_assert_eq!(decoder.rows(), outcome.unwrap_or(0));
        decoder.finish().unwrap();
    }

    #[test]
    fn what_is_inferred_from_a_payload_decodes_it(row in row()) {
        let payload = row.to_string();
        if let Ok(schema) = Schema::infer(payload.as_bytes()) {
            let large = |value: &Value| value.is_u64() && !value.is_i64();
            prop_assume!(!row.as_object().unwrap().values().any(large));
            let mut decoder = Decoder::new(Arc::new(schema), Mode::Identity, Limits::default());
            let origin = Origin { received: Some(ARRIVAL), ..Origin::default() };
            prop_assert_eq!(decoder.decode(&origin, payload.as_bytes()), Ok(1), "{}", payload);
        }
    }
}
