//! Whole trees on this machine: a scenario file says which, and what happens to them.

pub mod scenario;
