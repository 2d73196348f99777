//! PEM (RFC 7468), as far as keys and certificates take it.

use std::fmt::Write as _;

use crate::base64;

/// Label and content of the first block.
pub(super) fn first(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let mut content = Vec::new();
    base64::decode(body, &mut |piece| content.extend_from_slice(piece)).ok()?;
    Some((label, content))
}

/// A block of this label.
pub(super) fn encode(label: &str, content: &[u8]) -> String {
    const COLUMNS: usize = 64;
    let mut text = format!("-----BEGIN {label}-----\n");
    let body = base64::encode(content);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "-----END {label}-----");
    text
}
