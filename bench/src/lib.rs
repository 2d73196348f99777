//! Benches live in benches/; here are the inputs that they share.

pub mod documents;
