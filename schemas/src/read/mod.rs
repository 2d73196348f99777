//! From bytes to types: what the schemas of clause 11 allow, and what `schema-notes` tolerates beyond them.
//!
//! One pass over the tokens, no copy of content: texts are slices of the document unless references, CDATA sections
//! or carriage returns make them differ from it. A fault of the grammar inside a nested `Message_Core` spoils that
//! part alone (R-10.1.1-10); what is not well-formed, or over a limit, spoils the document.
//!
//! Recursion follows the nesting of X.1206 elements and ends at [`Limits::depth`]; what is not looked into is
//! skipped in a loop.

mod core;
mod cursor;
mod opaque;
mod payload;
mod reply;
mod text;
mod values;
mod version;

use bytes::Bytes;
use bytestring::ByteString;

use self::cursor::Cursor;
pub use self::values::is_date_time;
use crate::core::Document;
use crate::error::{Error, ErrorKind, Refused};
use crate::limits::Limits;
use crate::names::Spelling;
use crate::wellformed::line_at;

/// Reads a document in UTF-8 without a byte order mark ([`crate::text::to_utf8`]).
///
/// # Errors
/// What is wrong, where, by which clause, and what is needed to answer the refusal.
pub fn document(utf8: &Bytes, limits: &Limits) -> Result<Document, Refused> {
    let source = ByteString::try_from(utf8.clone()).map_err(|_| not_utf8(utf8))?;
    let mut cursor = Cursor::new(&source, limits);
    core::document(&mut cursor).map_err(|error| cursor.into_refusal(error))
}

fn not_utf8(bytes: &Bytes) -> Refused {
    let byte = std::str::from_utf8(bytes).map_or_else(|fault| fault.valid_up_to(), str::len);
    let kind = ErrorKind::Encoding("not UTF-8".to_owned());
    let error = Error { kind, byte, line: line_at(bytes, byte), clause: "9.6.1" };
    Refused { error, message_id: None, is_reply: false, spelling: Spelling::default() }
}
