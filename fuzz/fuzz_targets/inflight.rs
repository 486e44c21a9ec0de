//! `cargo +nightly fuzz run --features libfuzzer inflight`: see [`wigwag_fuzz::inflight`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wigwag_fuzz::inflight(data));
