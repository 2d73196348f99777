//! Signatures (8.3): made, found and verified where they stand. No clock, no file, and no word on who may speak.
//!
//! A Signature covers its *scope*: its parent, or for one in a Header the whole `Message_Core`, taken as a document of
//! its own (S18). That document is the element's bytes and those declarations of its ancestors that it uses, as the
//! intake form of a part has them ([`crate::part`]); what is signed is its canonical form ([`canon`]) without that one
//! Signature. So it is the same in every envelope and out of it.
//!
//! The profile is closed: one Reference with `URI=""`; the transforms enveloped-signature and a canonicalisation without
//! comments, exclusive or inclusive; SHA-2; RSA from 2048 bits, ECDSA on P-256 and P-384, Ed25519; a key that comes with
//! the Signature or is named by it. All else is a [`Refusal`].
//!
//! [`verify()`] says under which key a Signature is valid and which bytes it covers; [`crate::facts::Validated`] has asked
//! it of every Signature that its document shows. Comments are in no canonical form and never in what is read, and an
//! `xsi:type` counts only if the canonical form tells what its prefix means. Whoever uses a part asks
//! [`crate::facts::Validated::covering`] with the span that he reads.

mod algorithm;
pub mod canon;
mod certificates;
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
pub use certificates::{Authority, AuthorityError, Issuer, issuers};
pub use key::{KeyId, KeyKind, PublicKey};
pub use pem::certificates;
pub use private::{PrivateKey, PrivateKeyError};
pub use refusal::Refusal;
pub use sign::{Options, SignError, sign};
pub use slots::signable;
pub(crate) use survey::survey;
pub use verify::{Verified, verify};

#[cfg(test)]
mod tests;
