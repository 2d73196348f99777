//! Segments: no panic and no byte beyond what is announced, and every document restored from its segments to the byte.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::forms::run(data));
