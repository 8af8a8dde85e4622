//! The fuzzer's committed inputs, through the function that the fuzzer runs, and random ones.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use springhouse_log::fuzz;

#[test]
fn the_fuzz_corpus_replays() {
    let dir = Path::new("../../fuzz/corpus/log_recovery");
    let mut replayed = 0;
    for entry in fs::read_dir(dir).unwrap() {
        fuzz::recover_segment(&fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no inputs in {}", dir.display());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_segment_opens_to_what_was_written_or_not_at_all(
        how in 0..4_u8,
        mut rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        rest.insert(0, how);
        fuzz::recover_segment(&rest);
    }
}

#[test]
fn every_flipped_byte_of_a_segment_opens_to_what_was_written_or_not_at_all() {
    for position in 0..6_000_u16 {
        let [low, high] = position.to_le_bytes();
        fuzz::recover_segment(&[0, low, high, 0, 0x80]);
        fuzz::recover_segment(&[0, low, high, 2, 0]);
    }
}
