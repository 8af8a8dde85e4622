//! Single payloads and what becomes of them.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, cast::AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use springhouse_model::{Timestamp, ValueType};
use springhouse_schema::{Decoder, Field, Limits, Mode, Origin, Reason, Rejection, Schema};

const ARRIVAL: Timestamp = Timestamp(1_767_268_800_000_000);

fn origin() -> Origin<'static> {
    Origin { device: Some("d"), site: Some("home"), received: Some(ARRIVAL), id: None, partition: 3 }
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("f", ValueType::Float),
        Field::new("i", ValueType::Int),
        Field::new("b", ValueType::Bool),
        Field::new("t", ValueType::Text),
        Field::new("at", ValueType::Time),
        Field::new("color_x", ValueType::Float),
        Field::new("color_hue_deep", ValueType::Int),
        Field::new("device_", ValueType::Text),
    ])
}

fn decoder() -> Decoder {
    Decoder::new(Arc::new(schema()), Mode::Identity, Limits::default())
}

fn decode(payload: &str) -> Result<RecordBatch, Rejection> {
    let mut decoder = decoder();
    decoder.decode(&origin(), payload.as_bytes())?;
    Ok(decoder.finish().unwrap())
}

fn cell(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).unwrap();
    let text = || match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => Timestamp(times.value(row)).to_string(),
        None => array_value_to_string(column, row).unwrap(),
    };
    column.is_valid(row).then(text)
}

#[test]
fn a_number_is_the_double_nearest_to_its_text() {
    // Sums and means of a device have 16 or 17 digits; the last one counts when two systems are compared.
    for text in [
        "-1.5819106761861756e+299",
        "0.30000000000000004",
        "21.299999237060547",
        "1.7976931348623157e308",
        "5e-324",
        "9007199254740993.0",
        "123456789012345678901234567890.5",
    ] {
        let batch = decode(&format!(r#"{{"f":{text}}}"#)).unwrap();
        let column = batch.column_by_name("f").unwrap().as_primitive::<Float64Type>();
        assert_eq!(column.value(0).to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

#[test]
fn values_land_in_their_columns() {
    for (payload, column, expected) in [
        (r#"{"f":21.123}"#, "f", Some("21.123")),
        (r#"{"f":3}"#, "f", Some("3.0")),
        (r#"{"f":-0.1e-3}"#, "f", Some("-0.0001")),
        (r#"{"f":0.1234567890123456789}"#, "f", Some("0.12345678901234568")),
        (r#"{"f":null}"#, "f", None),
        (r#"{}"#, "f", None),
        (r#"{"i":9223372036854775807}"#, "i", Some("9223372036854775807")),
        (r#"{"i":-9223372036854775808}"#, "i", Some("-9223372036854775808")),
        (r#"{"i":2.0}"#, "i", Some("2")),
        (r#"{"b":true}"#, "b", Some("true")),
        (r#"{"t":"a\"b\u00e4\n"}"#, "t", Some("a\"bä\n")),
        (r#"{"t":[1,2.5,"x\"y",null,true,{"k":[ ]}]}"#, "t", Some(r#"[1,2.5,"x\"y",null,true,{"k":[]}]"#)),
        (r#"{"t":[]}"#, "t", Some("[]")),
        (r#"{"at":"2026-01-01T01:00:00+01:00"}"#, "at", Some("2026-01-01T00:00:00Z")),
        (r#"{"at":1767225600000}"#, "at", Some("2026-01-01T00:00:00Z")),
        (r#"{"color":{"x":0.5,"hue":{"deep":7}}}"#, "color_x", Some("0.5")),
        (r#"{"color":{"x":0.5,"hue":{"deep":7}}}"#, "color_hue_deep", Some("7")),
        (r#"{"color_x":0.25}"#, "color_x", Some("0.25")),
        (r#"{"color":{}}"#, "color_x", None),
        (r#"{"device":"other"}"#, "device_", Some("other")),
        (r#"{"device":"other"}"#, "device", Some("d")),
        (r#"{"unknown":null,"other":{},"f":1}"#, "f", Some("1.0")),
        (r#"{"ts":1767225600}"#, "ts", Some("2026-01-01T00:00:00Z")),
        (r#"{"ts":1767225600.5}"#, "ts", Some("2026-01-01T00:00:00.500Z")),
        (r#"{"ts":"2026-01-01T00:00:00Z"}"#, "ts", Some("2026-01-01T00:00:00Z")),
        (r#"{"ts":null}"#, "ts", Some("2026-01-01T12:00:00Z")),
        (r#"{"f":1}"#, "ts", Some("2026-01-01T12:00:00Z")),
    ] {
        let batch = decode(payload).unwrap_or_else(|rejection| panic!("{payload}: {rejection}"));
        assert_eq!(cell(&batch, column, 0).as_deref(), expected, "{payload}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    for (payload, reason) in [
        ("", Reason::NotJson),
        ("{", Reason::NotJson),
        (r#"{"f":1}x"#, Reason::NotJson),
        (r#"{"f":01}"#, Reason::NotJson),
        (r#"{"f":1e400}"#, Reason::NotFinite),
        (r#""text""#, Reason::NotAnObject),
        ("[[]]", Reason::NotAnObject),
        (r#"{"f":"1"}"#, Reason::WrongType),
        (r#"{"f":9007199254740993}"#, Reason::WrongType),
        (r#"{"i":1.5}"#, Reason::WrongType),
        (r#"{"i":1e300}"#, Reason::WrongType),
        (r#"{"b":1}"#, Reason::WrongType),
        (r#"{"t":1}"#, Reason::WrongType),
        (r#"{"t":{"k":1}}"#, Reason::WrongType),
        (r#"{"f":[1]}"#, Reason::WrongType),
        (r#"{"color":1}"#, Reason::WrongType),
        (r#"{"at":"noon"}"#, Reason::WrongType),
        (r#"{"color":{"y":1}}"#, Reason::UnknownField),
        (r#"{"unknown":[]}"#, Reason::UnknownField),
        (r#"{"f":1,"f":1}"#, Reason::DuplicateKey),
        (r#"{"color":{"x":1},"color_x":1}"#, Reason::DuplicateKey),
        (r#"{"ts":1767225600,"ts":1767225600}"#, Reason::DuplicateKey),
        (r#"{"ts":true}"#, Reason::BadTime),
        (r#"{"ts":"2026-01-01"}"#, Reason::BadTime),
        (r#"{"ts":0}"#, Reason::TimeOutOfRange),
        (r#"{"ts":4294967295}"#, Reason::TimeOutOfRange),
    ] {
        let rejection = decode(payload).map(|batch| batch.num_rows()).expect_err(payload);
        assert_eq!(rejection.reason, reason, "{payload}: {rejection}");
    }
}

#[test]
fn a_refused_message_leaves_no_trace() {
    let mut decoder = decoder();
    let before = [r#"{"f":1,"t":"one","b":true}"#, r#"{"i":2}"#];
    let broken = [
        r#"[{"f":9,"t":"nine","b":false,"i":9},{"t":["half",{"of":"it"},"#,
        r#"[{"t":"x","f":9},{"f":"no"}]"#,
        r#"{"b":false,"t":[1,[2,[3]]],"i":"no"}"#,
        r#"{"color":{"x":9,"hue":{"deep":9,"more":9}}}"#,
    ];
    for payload in before {
        decoder.decode(&origin(), payload.as_bytes()).unwrap();
        for payload in broken {
            decoder.decode(&origin(), payload.as_bytes()).unwrap_err();
        }
    }
    decoder.decode(&origin(), br#"{"f":3,"t":"three"}"#).unwrap();
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.num_rows(), 3);
    let column = |name: &str| (0..3).map(|row| cell(&batch, name, row)).collect::<Vec<_>>();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(column("f"), [some("1.0"), None, some("3.0")]);
    assert_eq!(column("t"), [some("one"), None, some("three")]);
    assert_eq!(column("b"), [some("true"), None, None]);
    assert_eq!(column("i"), [None, some("2"), None]);
    assert_eq!(column("color_x"), [None, None, None]);
}

#[test]
fn required_properties_are_missed_by_name() {
    let fields = vec![Field::new("a", ValueType::Int).required(), Field::new("b", ValueType::Int).required()];
    let mut decoder = Decoder::new(Arc::new(Schema::new(fields)), Mode::Identity, Limits::default());
    let rejection = decoder.decode(&origin(), br#"[{"a":1,"b":2},{"b":3}]"#).unwrap_err();
    assert_eq!((rejection.reason, rejection.detail.as_str()), (Reason::MissingField, "`a` missing"));
    assert_eq!(decoder.rows(), 0);
}

#[test]
fn bounds_hold_for_bytes_rows_and_depth() {
    let limits = Limits { payload_bytes_max: 60, rows_max: 3, ..Limits::default() };
    let mut decoder = Decoder::new(Arc::new(schema()), Mode::Identity, limits);
    assert_eq!(decoder.decode(&origin(), b"[{},{},{}]"), Ok(3));
    assert_eq!(decoder.decode(&origin(), b"[{},{},{},{}]").unwrap_err().reason, Reason::TooLarge);
    assert_eq!(decoder.decode(&origin(), &[b' '; 61]).unwrap_err().reason, Reason::TooLarge);
    for payload in [format!(r#"{{"t":{}"#, "[".repeat(1 << 19)), "[".repeat(1 << 19)] {
        let rejection = self::decoder().decode(&origin(), payload.as_bytes()).unwrap_err();
        assert!(matches!(rejection.reason, Reason::TooDeep | Reason::NotAnObject), "{rejection}");
    }
    let nested = r#"{"color":"#.repeat(100_000);
    let rejection = self::decoder().decode(&origin(), nested.as_bytes()).unwrap_err();
    assert!(matches!(rejection.reason, Reason::UnknownField | Reason::TooDeep), "{rejection}");
    let wide = Limits { cells_max: 1_000, ..Limits::default() };
    let mut decoder = Decoder::new(Arc::new(schema()), Mode::Identity, wide);
    let many = format!("[{}]", vec!["{}"; 500].join(","));
    assert_eq!(decoder.decode(&origin(), many.as_bytes()).unwrap_err().reason, Reason::TooLarge);
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let mut decoder = decoder();
    for _ in 0..3 {
        decoder.decode(&origin(), br#"{"f":1,"i":2,"t":"x"}"#).unwrap();
        decoder.decode(&origin(), br#"{"t":"x","nothing":null,"i":2,"f":1}"#).unwrap();
        decoder.decode(&origin(), br#"{"i":2}"#).unwrap();
    }
    let batch = decoder.finish().unwrap();
    for row in 0..9 {
        assert_eq!(cell(&batch, "i", row).as_deref(), Some("2"));
        assert_eq!(cell(&batch, "f", row).is_some(), row % 3 != 2);
    }
}

#[test]
fn bytes_grow_with_rows_and_columns() {
    let mut decoder = decoder();
    assert_eq!(decoder.bytes(), 0);
    decoder.decode(&origin(), b"[{},{}]").unwrap();
    assert!(decoder.bytes() >= 2 * 8 * 8, "empty rows take room too");
    let rows = decoder.take();
    assert_eq!((rows.len(), decoder.rows(), decoder.bytes()), (2, 0, 0));
    let (batch, partitions) = rows.finish().unwrap();
    assert_eq!((batch.num_rows(), partitions), (2, vec![3, 3]));
}
