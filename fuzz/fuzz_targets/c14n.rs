//! Canonical forms: no panic, and the canonical form of a canonical form is itself.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::c14n::run(data));
