//! Whatever batch goes in comes out, to the bit.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Float64Type, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use proptest::prelude::*;
use springhouse_frame::{decode, encode};

pub fn assert_same(left: &RecordBatch, right: &RecordBatch) {
    assert_eq!(left.schema(), right.schema());
    assert_eq!(left.num_rows(), right.num_rows());
    for (left, right) in left.columns().iter().zip(right.columns()) {
        match left.as_primitive_opt::<Float64Type>() {
            // Equality of floats does not see NaN payloads and the sign of zero.
            Some(left) => {
                let bits = |array: &Float64Array| -> Vec<_> {
                    array.iter().map(|value| value.map(f64::to_bits)).collect()
                };
                assert_eq!(bits(left), bits(right.as_primitive()));
            }
            None => assert_eq!(left, right),
        }
    }
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-1_000_000_i64..1_000_000, 0..6).prop_map(|(n, k)| n as f64 / 10_f64.powi(k)),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            0.1 + 0.2
        ]),
    ]
}

fn decimals() -> impl Strategy<Value = f64> {
    (-100_000_i64..100_000).prop_map(|n| n as f64 / 100.0)
}

/// A column of `rows` values; `density` decides how many of them are null.
fn column(rows: usize) -> impl Strategy<Value = (ArrayRef, bool)> {
    fn nullable<T: std::fmt::Debug>(
        value: impl Strategy<Value = T>,
        rows: usize,
    ) -> impl Strategy<Value = Vec<Option<T>>> {
        let present = prop::sample::select(vec![0.0, 0.1, 0.5, 1.0]);
        let cells = prop::collection::vec((value, 0.0..1.0_f64), rows);
        (cells, present).prop_map(|(cells, present)| {
            cells.into_iter().map(|(value, chance)| (chance < present).then_some(value)).collect()
        })
    }
    let array = prop_oneof![
        nullable(any::<bool>(), rows).prop_map(|v| Arc::new(BooleanArray::from(v)) as ArrayRef),
        nullable(any::<i64>(), rows).prop_map(|v| Arc::new(Int64Array::from(v)) as ArrayRef),
        nullable(-3_i64..3, rows).prop_map(|v| Arc::new(Int64Array::from(v)) as ArrayRef),
        nullable(any_float(), rows).prop_map(|v| Arc::new(Float64Array::from(v)) as ArrayRef),
        nullable(decimals(), rows).prop_map(|v| Arc::new(Float64Array::from(v)) as ArrayRef),
        nullable(any::<String>(), rows).prop_map(|v| Arc::new(StringArray::from(v)) as ArrayRef),
        nullable("[ab]{0,2}", rows).prop_map(|v| Arc::new(StringArray::from(v)) as ArrayRef),
        nullable(any::<i64>(), rows)
            .prop_map(|v| { Arc::new(TimestampMicrosecondArray::from(v).with_timezone("UTC")) as ArrayRef }),
    ];
    (array, any::<bool>())
}

fn batch() -> impl Strategy<Value = RecordBatch> {
    (0..200_usize)
        .prop_flat_map(|rows| (Just(rows), prop::collection::vec((any::<String>(), column(rows)), 0..8)))
        .prop_map(|(rows, columns)| {
            let (mut fields, mut arrays) = (Vec::new(), Vec::new());
            for (name, (array, nullable)) in columns {
                fields.push(Field::new(name, array.data_type().clone(), nullable || array.null_count() > 0));
                arrays.push(array);
            }
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_comes_back_exactly(batch in batch()) {
        assert_same(&decode(&encode(&batch).unwrap()).unwrap(), &batch);
    }

    #[test]
    fn a_slice_of_a_batch_comes_back_exactly(batch in batch(), cut in any::<prop::sample::Index>()) {
        let start = cut.index(batch.num_rows() + 1);
        let slice = batch.slice(start, (batch.num_rows() - start) / 2);
        assert_same(&decode(&encode(&slice).unwrap()).unwrap(), &slice);
    }

    #[test]
    fn equal_batches_give_equal_frames(batch in batch()) {
        let frame = encode(&batch).unwrap();
        prop_assert_eq!(&encode(&decode(&frame).unwrap()).unwrap(), &frame);
    }
}

#[test]
fn types_outside_the_contract_are_refused_by_name() {
    let array: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("small", array)]).unwrap();
    let error = encode(&batch).unwrap_err().to_string();
    assert!(error.contains("`small`") && error.contains("Int32"), "{error}");
}

#[test]
fn readings_of_a_batch_of_a_hundred_take_about_ten_bytes() {
    let rows = 100_i64;
    let time =
        TimestampMicrosecondArray::from_iter_values((0..rows).map(|n| 1_760_000_000_000_000 + n * 50_000));
    let columns: [(&str, ArrayRef); 5] = [
        ("ts", Arc::new(time.with_timezone("UTC"))),
        (
            "device",
            Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("thermostat-{:04}", n % 20)))),
        ),
        (
            "temperature",
            Arc::new(Float64Array::from_iter_values((0..rows).map(|n| (2_000 + n * 7 % 300) as f64 / 100.0))),
        ),
        (
            "humidity",
            Arc::new(Float64Array::from_iter_values((0..rows).map(|n| (400 + n * 13 % 90) as f64 / 10.0))),
        ),
        ("sequence", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| 1_000 + n / 20)))),
    ];
    let frame = encode(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    assert!(frame.len() < 1_000, "{} bytes", frame.len());
}
