#![no_main]
//! A bug that no vector and no luck finds: `cargo xtask fuzz` looks for it first, to see that the search works.

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((magic, rest)) = input.split_first_chunk::<4>()
        && magic[0] == b'M'
        && magic[1] == b'Q'
        && magic[2] == b'T'
        && magic[3] == b'T'
        && let Some(number) = rest.first_chunk()
    {
        assert_ne!(u32::from_le_bytes(*number), 0x7ea5_0f2c, "the planted bug");
    }
});
