//! References as `xs:anyURI` takes them.

/// A text as a `data:` URI.
pub(super) fn data(text: &str) -> String {
    let mut uri = String::with_capacity(text.len() + 64);
    uri.push_str("data:text/plain;charset=utf-8,");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            percent(byte, &mut uri);
        }
    }
    uri
}

/// A reference of somebody else's. One that is a URI stays as it is; in others, what no URI may hold in its place is
/// percent-encoded, for one bad reference shall not make the whole document invalid.
pub(super) fn repaired(reference: &str) -> String {
    let mut uri = String::with_capacity(reference.len());
    // A colon before any slash ends a scheme, or should not be there.
    let mut colon_is_bad = !has_scheme(reference);
    let mut fragment = false;
    for (at, c) in reference.char_indices() {
        let bad = match c {
            '%' => !is_escape(&reference.as_bytes()[at..]),
            '#' => std::mem::replace(&mut fragment, true),
            ':' => colon_is_bad,
            '[' | ']' => !reference.contains("://["),
            _ => c <= ' ' || c == '\u{7f}' || "<>\"{}|\\^`".contains(c),
        };
        colon_is_bad &= !matches!(c, '/' | '?' | '#');
        match u8::try_from(c) {
            Ok(byte) if bad => percent(byte, &mut uri),
            _ => uri.push(c),
        }
    }
    uri
}

fn has_scheme(reference: &str) -> bool {
    let (scheme, what) = reference.split_once(':').unwrap_or_default();
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    !what.is_empty() && scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(rest)
}

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn percent(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_stay_as_they_are_and_others_become_some() {
        for uri in [
            "https://a.example/b%20c?d=e&f#g",
            "data:,x",
            "ni:///sha-256;f4OxZX",
            "../é",
            "",
            "urn:a:b",
            "//h:80/x",
            "https://[::1]:443/",
        ] {
            assert_eq!(repaired(uri), uri);
        }
        for (reference, uri) in [
            ("a b<c>", "a%20b%3Cc%3E"),
            ("100%", "100%25"),
            ("%zz", "%25zz"),
            ("#a#b", "#a%23b"),
            (":x", "%3Ax"),
            ("x:", "x%3A"),
            ("1:2/3:4", "1%3A2/3:4"),
            ("x[1]", "x%5B1%5D"),
            ("a\nb", "a%0Ab"),
        ] {
            assert_eq!(repaired(reference), uri);
            assert_eq!(repaired(uri), uri);
        }
        assert_eq!(data("a é"), "data:text/plain;charset=utf-8,a%20%C3%A9");
    }
}
