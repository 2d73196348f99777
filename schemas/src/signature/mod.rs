//! Signatures (8.3): the canonical form of what is signed.
//!
//! A scope is an element taken as a document of its own (S18). What is signed are the octets of its canonical form,
//! without the one Signature that is being looked at.

pub mod canon;
pub(crate) mod namespaces;
mod refusal;

pub use refusal::Refusal;
