//! Any bytes said by an MQTT client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    springhouse_mqtt::decode_packets(data);
});
