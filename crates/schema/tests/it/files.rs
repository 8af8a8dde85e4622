//! Lines of a file, where device and site stand in the line.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use springhouse_model::{Partition, ValueType};
use springhouse_schema::{Decoder, Field, Limits, Mode, Origin, Reason, Schema};

fn decoder() -> Decoder {
    let schema = Schema::new(vec![Field::new("v", ValueType::Int)]);
    Decoder::new(Arc::new(schema), Mode::File, Limits::default())
}

#[test]
fn lines_fill_the_system_columns_and_bad_lines_are_handed_back() {
    let text = concat!(
        r#"{"ts":1767225600000,"device":"a","site":"s1","v":1}"#,
        "\n\r\n",
        r#"{"ts":1767225600000,"device":7,"v":2}"#,
        "\r\n",
        r#"{"ts":1767225600000,"device":"b","v":"x"}"#,
        "\n",
        r#"{"device":"b","v":3}"#,
        "\n",
        r#"{"ts":1767225600000,"v":4}"#,
    );
    let mut decoder = decoder();
    let mut refused = Vec::new();
    let taken = decoder.decode_lines(&Origin::default(), text.as_bytes(), |index, _, rejection| {
        refused.push((index, rejection.reason));
    });
    assert_eq!(taken, 3);
    assert_eq!(refused, [(3, Reason::WrongType), (4, Reason::MissingField)]);
    let (batch, partitions) = decoder.take().finish().unwrap();
    let texts =
        |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(texts("device"), [Some("a"), Some("7"), None]);
    assert_eq!(texts("site"), [Some("s1"), None, None]);
    assert_eq!(partitions[0], Partition::of("a").0);
    assert_eq!(batch.column_by_name("_received").unwrap().null_count(), 3);
}

#[test]
fn a_line_that_is_no_text_does_not_spoil_the_others() {
    let text = b"{\"ts\":1767225600,\"v\":1}\n{\"ts\":1767225600,\"v\":\xff}\n{\"ts\":1767225600,\"v\":2}\n";
    let mut decoder = decoder();
    let mut refused = Vec::new();
    let taken = decoder.decode_lines(&Origin::default(), text, |index, line, rejection| {
        refused.push((index, line.to_vec(), rejection.reason));
    });
    assert_eq!((taken, refused.len()), (2, 1));
    assert_eq!((refused[0].0, refused[0].2), (1, Reason::NotUtf8));
}

#[test]
fn device_and_site_are_no_properties_of_an_inferred_schema() {
    let empty = Schema { additional: true, inferred: true, ..Schema::new(Vec::new()) };
    let schema = empty.widened_in(Mode::File, br#"{"ts":1,"device":"a","site":"s","v":1}"#).unwrap().unwrap();
    assert_eq!(schema.fields.len(), 1);
}
