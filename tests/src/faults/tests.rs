//! The store over the faulty disk, against a model; and the faulty disk itself.

mod crashes;
mod itself;
mod model;
