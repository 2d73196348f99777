//! Signatures (8.3): the canonical form of what is signed.
//!
//! A scope is an element taken as a document of its own (S18). What is signed are the octets of its canonical form,
//! without the one Signature that is being looked at.

mod algorithm;
pub mod canon;
mod der;
mod draft;
mod key;
mod key_info;
mod namespaces;
mod pem;
mod places;
mod prefixes;
mod private;
mod profile;
mod refusal;
mod sign;
mod slots;
mod survey;
mod tree;
mod verify;

pub use algorithm::{DigestMethod, SignatureMethod};
pub use key::{KeyId, KeyKind, PublicKey};
pub use private::{PrivateKey, PrivateKeyError};
pub use refusal::Refusal;
pub use sign::{Options, SignError, sign};
pub use slots::signable;
pub(crate) use survey::survey;
pub use verify::{Verified, verify};

#[cfg(test)]
mod tests;
