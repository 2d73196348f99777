//! From bytes to facts: no panic, no span outside of the document, and an intake form that is its own intake form.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::decode::run(data));
