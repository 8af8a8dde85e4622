//! Any bytes taken for a frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| springhouse_frame::fuzz::decode(data));
