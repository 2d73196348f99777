//! X.1206 documents: what a message is.
//!
//! Bytes come in through one door, [`facts::Validated`]: encoding, well-formedness, limits and grammar are checked
//! there, and signatures verified, once. Everything else in the workspace works on the types of [`core`] and [`version`], whose every part
//! knows its byte range, so that it can be spliced into another document without being written again.
//!
//! This crate names no runtime, socket, clock or disk, and no random source but that of the cryptographic library, which
//! draws what new keys and signatures take.

pub mod base64;
pub mod class;
pub mod core;
pub mod data_uri;
pub mod digest;
pub mod error;
pub mod facts;
pub mod guid;
pub mod limits;
pub mod mark;
pub mod names;
pub mod part;
pub mod read;
pub mod shown;
pub mod signature;
pub mod text;
pub mod version;
pub mod wellformed;
pub mod write;

#[cfg(test)]
mod conformance;
