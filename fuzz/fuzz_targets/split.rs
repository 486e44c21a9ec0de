//! `cargo +nightly fuzz run --features libfuzzer split`: see [`wigwag_fuzz::split`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wigwag_fuzz::split(data));
