//! Well-formedness: XML 1.0 (fifth edition) for documents without a document type, as a layer of its own.
//!
//! quick-xml finds the tokens at memory speed and checks little. This layer adds what the standard asks: characters,
//! names, the XML declaration, attributes, references, comments, one root, balanced ends. It refuses every DOCTYPE
//! and every entity but the five, and keeps the limits on depth, elements, attributes and lengths.
//!
//! [`Reader`] gives tokens with byte spans. [`Namespaces`] puts names in namespaces on top of it, and checks
//! Namespaces in XML 1.0. [`check`] runs the first of the two over a document.

mod attributes;
mod characters;
mod declaration;
mod namespaces;
mod reader;
mod references;

pub use attributes::Attribute;
pub(crate) use characters::{is_blank, is_blank_text, trim_blanks};
pub(crate) use declaration::Declaration;
pub use namespaces::{Namespaces, Resolved};
pub(crate) use namespaces::{check_declaration, declared_prefix, split};
pub use reader::{Reader, Token, TokenKind};
pub(crate) use references::{attribute_value, push_lines};

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;

/// Checks that a document in UTF-8, without a byte order mark, is well-formed and has no DOCTYPE.
///
/// # Errors
/// [`ErrorKind::Encoding`], [`ErrorKind::NotWellFormed`] or [`ErrorKind::Limit`], with the byte where it shows.
pub fn check(utf8: &[u8], limits: &Limits) -> Result<(), Error> {
    let text = std::str::from_utf8(utf8).map_err(|fault| {
        let kind = ErrorKind::Encoding("not UTF-8".to_owned());
        Error { kind, byte: fault.valid_up_to(), line: line_at(utf8, fault.valid_up_to()), clause: CLAUSE }
    })?;
    let mut reader = Reader::new(text, limits);
    while reader.read()?.kind != TokenKind::Eof {}
    Ok(())
}

/// The clause by which documents are XML.
pub(crate) const CLAUSE: &str = "9.6.1";
/// The row by which resources are bounded.
pub(crate) const LIMIT_CLAUSE: &str = "P-6";

/// Line of a byte, counted from 1 by line feeds.
pub(crate) fn line_at(bytes: &[u8], byte: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &bytes[..byte.min(bytes.len())]).count()
}

/// A fault that does not yet know its line: byte offset and kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) byte: usize,
    pub(crate) kind: ErrorKind,
}

impl Fault {
    fn syntax(byte: usize, what: impl Into<String>) -> Self {
        Self { byte, kind: ErrorKind::NotWellFormed(what.into()) }
    }

    fn limit(byte: usize, name: &'static str, limit: usize) -> Self {
        Self { byte, kind: ErrorKind::Limit { name, limit } }
    }

    /// Looks up the line and the clause.
    pub(crate) fn locate(self, text: &str) -> Error {
        let clause = if matches!(self.kind, ErrorKind::Limit { .. }) { LIMIT_CLAUSE } else { CLAUSE };
        Error { line: line_at(text.as_bytes(), self.byte), kind: self.kind, byte: self.byte, clause }
    }
}

#[cfg(test)]
mod tests;
