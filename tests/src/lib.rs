//! The harness of the tests that assert across crates: where the large data lies, who judges documents.

pub mod data;
pub mod faults;
pub mod harness;
pub mod kills;
pub mod promtool;
pub mod sim;
pub mod validators;
pub mod xmlsec;
