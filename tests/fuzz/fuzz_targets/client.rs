#![no_main]
//! See `mqtt_fuzz::client`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::client::run(input));
