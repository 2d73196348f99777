//! Benches live in benches/; here are the inputs that they share.

pub mod documents;
pub mod registered;
pub mod steps;
