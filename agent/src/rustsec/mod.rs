//! RustSec's advisory database as X.1206 items.
//!
//! [`parse`] reads one document, [`to_version_info`] writes it as an item, [`read_source`] walks a tree or a file of JSON
//! lines, and [`publication`] decides what of a source is news and with which revision.

mod advisory;
mod message;
pub mod publication;
mod requirement;
mod source;

pub use advisory::{Advisory, Error, parse};
pub use message::{SOURCE, to_version_info, withdrawal};
pub use source::{Change, Refusal, Source, SourceError, read_source};

#[cfg(test)]
pub(crate) use advisory::tests::DOCUMENT;

#[cfg(test)]
mod truth;
