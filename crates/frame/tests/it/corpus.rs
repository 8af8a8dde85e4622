//! The fuzzer's committed inputs, through the function that the fuzzer runs.

use std::fs;
use std::path::Path;

#[test]
fn the_fuzz_corpus_replays() {
    let dir = Path::new("../../fuzz/corpus/frame_decode");
    let mut replayed = 0;
    for entry in fs::read_dir(dir).unwrap() {
        springhouse_frame::fuzz::decode(&fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no inputs in {}", dir.display());
}
