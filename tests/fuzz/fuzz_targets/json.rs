#![no_main]
//! See `mqtt_fuzz::json`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::json::run(input));
