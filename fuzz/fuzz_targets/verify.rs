//! Wrapping: whatever becomes of the signed seeds, under their keys nothing is verified that they do not say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::verify::run(data));
