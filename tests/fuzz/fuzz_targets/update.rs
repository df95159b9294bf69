#![no_main]
//! See `mqtt_fuzz::update`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::update::run(input));
