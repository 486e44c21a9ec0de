//! `cargo +nightly fuzz run --features libfuzzer decode`: see [`wigwag_fuzz::decode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wigwag_fuzz::decode(data));
