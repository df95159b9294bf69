#![no_main]
//! See `mqtt_fuzz::websocket`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| mqtt_fuzz::websocket::run(input));
