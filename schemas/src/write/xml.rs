//! Tags and texts.

use bytes::Bytes;

/// XML being written. Tags are closed by who opens them.
#[derive(Default)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn open(&mut self, name: &str) {
        self.open_with(name, &[]);
    }

    pub(super) fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, ">");
    }

    pub(super) fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.text_with(name, &[], text);
    }

    /// An element with attributes and text.
    pub(super) fn text_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        if text.is_empty() {
            return self.tag(name, attributes, "/>");
        }
        self.open_with(name, attributes);
        escape_text(text, &mut self.0);
        self.close(name);
    }

    /// An empty element with a `ref`.
    pub(super) fn reference(&mut self, name: &str, uri: &str) {
        self.tag(name, &[("ref", uri)], "/>");
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)], end: &str) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            escape_attribute(value, &mut self.0);
            self.0.push('"');
        }
        self.0.push_str(end);
    }
}

/// Text that reads back as it was. A character that XML 1.0 cannot carry becomes U+FFFD.
fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |c| match c {
        '\r' => Some("&#13;"),
        // Only after "]]" it must be, and nobody counts.
        '>' => Some("&gt;"),
        _ => None,
    });
}

/// An attribute's value, to stand in double quotes, that reads back as it was.
pub(crate) fn escape_attribute(text: &str, out: &mut String) {
    escape(text, out, |c| match c {
        '"' => Some("&quot;"),
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut String, also: impl Fn(char) -> Option<&'static str>) {
    let mut written = 0;
    for (at, c) in text.char_indices() {
        let replacement = match c {
            '<' => "&lt;",
            '&' => "&amp;",
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
            _ => match also(c) {
                Some(replacement) => replacement,
                None => continue,
            },
        };
        out.push_str(&text[written..at]);
        out.push_str(replacement);
        written = at + c.len_utf8();
    }
    out.push_str(&text[written..]);
}
