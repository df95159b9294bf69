#![no_main]
//! See `mqtt_fuzz::platforms`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::platforms::run(input));
