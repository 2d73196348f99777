//! References, and the two normalisations of text (2.11 and 3.3.3 of XML 1.0).

use std::borrow::Cow;

use super::Fault;
use super::characters::is_char;

/// What `&name;` stands for: a character, or one of the five entities; nothing else exists without a DTD.
pub(super) fn resolve(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => character(name.strip_prefix('#')?),
    }
}

fn character(digits: &str) -> Option<char> {
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    // `from_str_radix` alone would take a sign.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|c| is_char(*c))
}

/// Checks every reference in an attribute value that begins at `base`.
pub(super) fn check(raw: &str, base: usize) -> Result<(), Fault> {
    memchr::memchr_iter(b'&', raw.as_bytes()).try_for_each(|at| {
        let name = raw[at + 1..].split(';').next().unwrap_or_default();
        let closed = raw.as_bytes().get(at + 1 + name.len()) == Some(&b';');
        match resolve(name) {
            Some(_) if closed => Ok(()),
            _ => Err(Fault::syntax(base + at, "a reference that is neither a character nor one of the five entities")),
        }
    })
}

/// Appends text as an application sees it: every CR LF and every lone CR is one LF. Nothing is copied twice.
pub(crate) fn push_lines(text: &mut String, raw: &str) {
    text.reserve(raw.len());
    let mut stretches = raw.split('\r');
    text.push_str(stretches.next().unwrap_or_default());
    for stretch in stretches {
        text.push('\n');
        text.push_str(stretch.strip_prefix('\n').unwrap_or(stretch));
    }
}

/// An attribute's value as an application sees it: references replaced, each blank a space. The value has passed
/// [`check`].
pub(crate) fn attribute_value(raw: &str) -> Cow<'_, str> {
    if memchr::memchr3(b'&', b'\r', b'\n', raw.as_bytes()).is_none() && !raw.contains('\t') {
        return Cow::Borrowed(raw);
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        let found = &rest[at..];
        let reference = found.strip_prefix('&').and_then(|tail| tail.split_once(';'));
        match reference {
            Some((name, tail)) => {
                value.extend(resolve(name));
                rest = tail;
            }
            None => {
                value.push(' ');
                rest = found.strip_prefix("\r\n").unwrap_or(&found[1..]);
            }
        }
    }
    value.push_str(rest);
    Cow::Owned(value)
}
