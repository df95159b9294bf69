#![no_main]
//! See `mqtt_fuzz::session`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::session::run(input));
