//! A damaged or invented log segment, opened and read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| springhouse_log::fuzz::recover_segment(data));
