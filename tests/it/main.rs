//! Does it hold together: every test that asserts across crates, or about the tree itself, in one binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounds;
mod copies;
mod corpora;
mod drain;
mod expected;
mod kills;
mod layout;
mod loads;
mod million;
mod reach;
mod reports;
mod rows;
mod scenarios;
mod shapes;
mod simulation;
mod sources;
mod tree;
mod trees;
mod truth;
mod two_nodes;
mod validators;
mod xmlsec;
