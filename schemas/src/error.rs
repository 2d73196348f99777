//! What is wrong with a document, where, and by which clause.

use std::fmt;

use crate::core::Identifier;
use crate::guid::MessageId;

/// A fault in a document: what, where, by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Byte offset in the UTF-8 form of the document.
    pub byte: usize,
    /// Line, counted from 1.
    pub line: usize,
    /// The clause or decision that the document breaks, such as `10.1.2` or `S11`.
    pub clause: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}: {} ({})", self.line, self.byte, self.kind, self.clause)
    }
}

impl std::error::Error for Error {}

/// The kinds of faults, from the outermost layer inwards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The bytes are no text in an accepted encoding.
    #[error("encoding: {0}")]
    Encoding(String),
    /// The text is not well-formed XML 1.0, or uses what X.1206 nodes never accept (DOCTYPE, entities).
    #[error("not well-formed: {0}")]
    NotWellFormed(String),
    /// A limit of [`crate::limits::Limits`] is passed.
    #[error("limit: {name} is over {limit}")]
    Limit {
        /// The limit's field name.
        name: &'static str,
        /// Its value.
        limit: usize,
    },
    /// Well-formed, but not a document of the core or version grammar.
    #[error("{0}")]
    Grammar(String),
}

/// A whole document was refused. Whatever of its header could be read is kept, so that the refusal can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The outer `Message_ID`, if the fault lies behind it.
    pub message_id: Option<Box<Identifier<MessageId>>>,
    /// Whether the root was `Message_Core_Reply`: a reply is never answered (R-10.1.6-10).
    pub is_reply: bool,
    /// The namespace spelling seen so far, for the answer.
    pub spelling: crate::names::Spelling,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {}
