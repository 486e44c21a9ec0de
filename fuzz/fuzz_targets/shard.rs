//! `cargo +nightly fuzz run --features libfuzzer shard`: see [`wigwag_fuzz::shard`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wigwag_fuzz::shard(data));
