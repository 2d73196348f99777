//! What to do: the pure machines.
pub mod store;
