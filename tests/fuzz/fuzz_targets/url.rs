#![no_main]
//! See `mqtt_fuzz::url`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::url::run(input));
