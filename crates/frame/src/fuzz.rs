//! What the fuzzer runs, and what the committed corpus replays in the ordinary tests.

use crate::{FrameError, Limits};

/// Takes any bytes for a frame: it is refused, or it is a batch that survives another round trip.
///
/// # Panics
/// When decoding is not exact, which is what the fuzzer looks for.
pub fn decode(data: &[u8]) {
    // Small limits: the fuzzer looks for wrong answers, not for large ones.
    let limits = Limits { rows_max: 1 << 16, columns_max: 256, bytes_max: 8 << 20 };
    let Ok(batch) = crate::decode_within(data, limits) else { return };
    match crate::encode(&batch) {
        Ok(frame) => {
            let again = crate::decode(&frame);
            let equal = again.as_ref().is_ok_and(|again| same_bits(again, &batch));
            assert!(equal, "second round trip differs: {again:?} instead of {batch:?}");
        }
        Err(error) => {
            assert!(matches!(error, FrameError::TooLarge { .. }), "decoded batch is refused: {error}")
        }
    }
}

/// Equality that tells NaN payloads and the two zeros apart.
fn same_bits(left: &arrow::record_batch::RecordBatch, right: &arrow::record_batch::RecordBatch) -> bool {
    left.schema() == right.schema()
        && left.num_rows() == right.num_rows()
        && left.columns().iter().zip(right.columns()).all(|(left, right)| {
            use arrow::array::{Array, AsArray};
            match (
                left.as_primitive_opt::<arrow::datatypes::Float64Type>(),
                right.as_primitive_opt::<arrow::datatypes::Float64Type>(),
            ) {
                (Some(left), Some(right)) => left
                    .iter()
                    .map(|value| value.map(f64::to_bits))
                    .eq(right.iter().map(|value| value.map(f64::to_bits))),
                _ => left.to_data() == right.to_data(),
            }
        })
}
