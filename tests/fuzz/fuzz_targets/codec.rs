#![no_main]
//! See `mqtt_fuzz::codec`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::codec::run(input));
