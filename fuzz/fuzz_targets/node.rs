//! `cargo +nightly fuzz run --features libfuzzer node`: see [`wigwag_fuzz::node`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wigwag_fuzz::node(data));
