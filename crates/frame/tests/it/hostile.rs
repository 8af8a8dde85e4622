//! Bytes that nobody should send: refused with a reason, within bounds, without a panic.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use springhouse_frame::{FrameError, Limits, decode, decode_within, encode, fuzz};

fn sample() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..500).map(|n| (n % 7 != 0).then_some(n * 31))));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..500).map(|n| format!("é{}", n % 9))));
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..500).map(|n| format!("message {n}"))));
    RecordBatch::try_from_iter([("n", numbers), ("t", texts), ("id", ids)]).unwrap()
}

/// A frame without compression around a hand-written body.
fn plain(body: &[u8]) -> Vec<u8> {
    [&[1, 0], body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::decode(&bytes);
        fuzz::decode(&plain(&bytes));
    }

    #[test]
    fn a_damaged_frame_never_panics(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), length in any::<prop::sample::Index>(),
    ) {
        let batch = sample().slice(0, 20);
        let mut frame = encode(&batch).unwrap();
        let position = at.index(frame.len());
        frame[position] = byte;
        fuzz::decode(&frame);
        frame.truncate(length.index(frame.len()));
        fuzz::decode(&frame);
    }
}

#[test]
fn every_cut_of_a_frame_is_refused() {
    let frame = encode(&sample()).unwrap();
    for bytes in 0..frame.len() {
        assert!(decode(&frame[..bytes]).is_err(), "{bytes} of {} bytes", frame.len());
    }
}

#[test]
fn a_newer_version_is_named() {
    assert_eq!(decode(&[2, 0]), Err(FrameError::NewerVersion { found: 2, known: 1 }));
}

#[test]
fn a_zstd_bomb_is_refused_before_it_is_unpacked() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap();
    let mut frame = vec![1, 1];
    frame.extend_from_slice(&u32::MAX.to_le_bytes());
    frame.extend_from_slice(&bomb);
    assert!(matches!(decode(&frame), Err(FrameError::TooLarge { .. })));
    // A length that lies is found out too.
    frame[2..6].copy_from_slice(&100_u32.to_le_bytes());
    assert!(matches!(decode(&frame), Err(FrameError::Malformed { .. })));
}

#[test]
fn columns_without_end_are_refused_before_they_are_parsed() {
    let body = [0x12, 0x00].repeat(1_000_000);
    assert!(matches!(decode(&plain(&body)), Err(FrameError::TooLarge { what: "columns", .. })));
}

#[test]
fn values_without_rows_are_refused_before_they_are_parsed() {
    // One column (tag 2) with a megabyte of one-byte deltas (tag 6), and no rows.
    let mut column = vec![0x32, 0xc0, 0x84, 0x3d];
    column.extend(vec![0; 1_000_000]);
    let mut body = vec![0x12, 0xc4, 0x84, 0x3d];
    body.extend(column);
    assert!(matches!(decode(&plain(&body)), Err(FrameError::TooLarge { what: "values", .. })));
}

#[test]
fn rows_without_columns_are_bounded() {
    // rows = 2^35 - 1
    let body = [0x08, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(matches!(decode(&plain(&body)), Err(FrameError::TooLarge { what: "rows", .. })));
}

#[test]
fn a_dictionary_bomb_is_refused() {
    // 2,000 times the same text of 60,000 bytes: small as a frame, 120 MB as a batch.
    let long = "x".repeat(60_000);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..2_000).map(|_| long.as_str())));
    let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
    let frame = encode(&batch).unwrap();
    assert!(frame.len() < 10_000);
    let limits = Limits { bytes_max: 50 << 20, ..Limits::default() };
    assert!(matches!(decode_within(&frame, limits), Err(FrameError::TooLarge { what: "bytes", .. })));
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let long = "x".repeat(1 << 20);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..200).map(|_| long.as_str())));
    let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
    assert!(matches!(encode(&batch), Err(FrameError::TooLarge { .. })));
}
