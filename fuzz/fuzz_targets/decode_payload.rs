//! Any bytes taken for messages of devices and for lines of a file, by both readers of JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| springhouse_schema::fuzz::decode(data));
