//! What the fuzzer runs, and what the committed corpus and the property tests replay: both readers on the same bytes.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use springhouse_model::{Timestamp, ValueType};

use crate::{Decoder, Field, Limits, Mode, Origin, Reason, Rejection, Schema};

/// Messages are told apart by the record separator of JSON text sequences (RFC 7464).
pub const SEPARATOR: char = '\u{1e}';

const ARRIVAL: Timestamp = Timestamp(1_767_268_800_000_000);

/// Takes any bytes for messages and for lines of a file: with the first try and without it, the same rows and the same
/// refusals come out.
///
/// # Panics
/// When they do not, which is what the fuzzer looks for.
pub fn decode(data: &[u8]) {
    let narrow = Limits { rows_max: 3, object_depth_max: 2, ..Limits::default() };
    let few_cells = Limits { cells_max: 20, ..Limits::default() };
    for (required, limits) in [(false, Limits::default()), (true, narrow), (false, few_cells)] {
        let schema = Arc::new(schema(required));
        let known = Origin {
            device: Some("d"),
            site: Some("s"),
            received: Some(ARRIVAL),
            id: Some("1"),
            partition: 5,
        };
        for (mode, origin) in [(Mode::Identity, known), (Mode::File, Origin::default())] {
            let mut readers = Readers {
                quick: Decoder::new(Arc::clone(&schema), mode, limits),
                plain: Decoder::new(Arc::clone(&schema), mode, limits),
                origin,
            };
            readers.messages(data);
            readers.compare_rows();
            readers.lines(data);
            readers.compare_rows();
        }
    }
}

/// Every type, names under names, and names that are also columns of the system.
fn schema(required: bool) -> Schema {
    let mut number = Field::new("f", ValueType::Float);
    number.required = required;
    Schema::new(vec![
        number,
        Field::new("i", ValueType::Int),
        Field::new("b", ValueType::Bool),
        Field::new("t", ValueType::Text),
        Field::new("at", ValueType::Time),
        Field::new("o_f", ValueType::Float),
        Field::new("o_o_i", ValueType::Int),
        Field::new("o", ValueType::Text),
        Field::new("device_", ValueType::Text),
        Field::new("", ValueType::Int),
        Field::new("ö\"\\", ValueType::Int),
        Field::new("a\tb", ValueType::Int),
    ])
}

struct Readers<'a> {
    quick: Decoder,
    plain: Decoder,
    origin: Origin<'a>,
}

impl Readers<'_> {
    fn messages(&mut self, data: &[u8]) {
        for message in data.split(|byte| *byte == SEPARATOR as u8) {
            let shown = String::from_utf8_lossy(message);
            let quick = self.quick.decode(&self.origin, message);
            match std::str::from_utf8(message) {
                Ok(text) => assert_eq!(quick, self.plain.decide(&self.origin, text), "{shown}"),
                Err(_) => {
                    assert_eq!(quick.map_err(|refused| refused.reason), Err(Reason::NotUtf8), "{shown}")
                }
            }
            assert_eq!(self.quick.rows(), self.plain.rows(), "{shown}");
            assert_eq!(self.quick.bytes(), self.plain.bytes(), "{shown}");
        }
    }

    fn lines(&mut self, data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else { return };
        let mut quick = Vec::new();
        let taken = self.quick.decode_lines(&self.origin, data, |index, line, refused| {
            quick.push((index, line.to_vec(), refused));
        });
        let (plain_taken, plain) = self.lines_one_by_one(text);
        assert_eq!((taken, quick), (plain_taken, plain), "{text}");
        assert_eq!(self.quick.bytes(), self.plain.bytes(), "{text}");
    }

    fn lines_one_by_one(&mut self, text: &str) -> (usize, Vec<(usize, Vec<u8>, Rejection)>) {
        let mut taken = 0;
        let mut refused = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match self.plain.decide(&self.origin, line) {
                Ok(_) => taken += 1,
                Err(rejection) => refused.push((index, line.as_bytes().to_vec(), rejection)),
            }
        }
        (taken, refused)
    }

    fn compare_rows(&mut self) {
        let [quick, plain] = [&mut self.quick, &mut self.plain].map(|decoder| {
            let rows = decoder.take();
            (!rows.is_empty()).then(|| rows.finish())
        });
        match (quick, plain) {
            (None, None) => {}
            (Some(Ok((quick, quick_partitions))), Some(Ok((plain, plain_partitions)))) => {
                assert_eq!(quick_partitions, plain_partitions);
                assert!(same_bits(&quick, &plain), "rows differ: {quick:?} instead of {plain:?}");
            }
            (quick, plain) => panic!("batches differ: {quick:?} instead of {plain:?}"),
        }
    }
}

/// Equality that tells the two zeros apart.
fn same_bits(left: &RecordBatch, right: &RecordBatch) -> bool {
    left.schema() == right.schema()
        && left.num_rows() == right.num_rows()
        && left.columns().iter().zip(right.columns()).all(|(left, right)| {
            match (left.as_primitive_opt::<Float64Type>(), right.as_primitive_opt::<Float64Type>()) {
                (Some(left), Some(right)) => left
                    .iter()
                    .map(|value| value.map(f64::to_bits))
                    .eq(right.iter().map(|value| value.map(f64::to_bits))),
                _ => left.to_data() == right.to_data(),
            }
        })
}
