//! `cargo +nightly fuzz run --features libfuzzer records`: see [`wigwag_fuzz::records`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wigwag_fuzz::records(data));
