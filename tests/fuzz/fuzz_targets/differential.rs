#![no_main]
//! See `mqtt_fuzz::differential`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::differential::run(input));
