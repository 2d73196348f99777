//! PEM (RFC 7468), as far as keys and certificates take it.

use std::fmt::Write as _;

use super::Refusal;
use crate::base64;

const BEGIN: &str = "-----BEGIN ";

/// Label and content of the first block.
pub(super) fn first(text: &str) -> Option<(&str, Vec<u8>)> {
    next(text).map(|(label, content, _)| (label, content))
}

/// The certificates of a file in PEM, in their order. What else is in it is passed over.
///
/// # Errors
/// If there is none, or a block that does not read.
pub fn certificates(text: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    const NONE: Refusal = Refusal::KeyInfo("no certificate in PEM");
    let (mut rest, mut found) = (text, Vec::new());
    while rest.contains(BEGIN) {
        let (label, content, after) = next(rest).ok_or(NONE)?;
        if label == "CERTIFICATE" {
            found.push(content);
        }
        rest = after;
    }
    if found.is_empty() { Err(NONE) } else { Ok(found) }
}

/// Label and content of the first block, and what follows.
fn next(text: &str) -> Option<(&str, Vec<u8>, &str)> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, rest) = rest.split_once(&format!("-----END {label}-----"))?;
    let mut content = Vec::new();
    base64::decode(body, &mut |piece| content.extend_from_slice(piece)).ok()?;
    Some((label, content, rest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_in_its_order() {
        let text = format!("a{}b\n{}{}", encode("CERTIFICATE", b"1"), encode("X", b"2"), encode("CERTIFICATE", b"3"));
        assert_eq!(certificates(&text), Ok(vec![b"1".to_vec(), b"3".to_vec()]));
        assert!(certificates(&encode("PRIVATE KEY", b"2")).is_err());
        assert!(certificates(&text[..text.len() - 5]).is_err(), "the last one has no end");
    }
}
