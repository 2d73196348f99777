//! The XML declaration (productions 23 to 26, 32, 80 and 81).

use std::ops::Range;

use super::characters::is_blank;

/// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration<'a> {
    /// The encoding that it names.
    pub(crate) encoding: Option<&'a str>,
    /// Where ` encoding="…"` stands, the blank before it included; empty if it does not.
    pub(crate) encoding_span: Range<usize>,
    /// One past `?>`.
    pub(crate) end: usize,
}

impl<'a> Declaration<'a> {
    /// Reads the declaration with which `text` begins; `None` if there is none or it breaks the grammar.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut rest = Rest { text, at: "<?xml".len() };
        if !text.starts_with("<?xml") {
            return None;
        }
        let version = rest.pseudo_attribute("version")?;
        let minor = version.strip_prefix("1.")?;
        if minor.is_empty() || !minor.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let start = rest.at;
        let encoding = rest.pseudo_attribute("encoding");
        let encoding_span = start..rest.at;
        if encoding.is_some_and(|name| !is_encoding_name(name)) {
            return None;
        }
        if rest.pseudo_attribute("standalone").is_some_and(|value| !matches!(value, "yes" | "no")) {
            return None;
        }
        rest.skip_blanks();
        rest.take("?>")?;
        Some(Self { encoding, encoding_span, end: rest.at })
    }
}

fn is_encoding_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(rest)
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    /// Reads ` name = "value"`, or moves nowhere.
    fn pseudo_attribute(&mut self, name: &str) -> Option<&'a str> {
        let start = self.at;
        let value = self.try_pseudo_attribute(name);
        if value.is_none() {
            self.at = start;
        }
        value
    }

    fn try_pseudo_attribute(&mut self, name: &str) -> Option<&'a str> {
        if self.skip_blanks() == 0 {
            return None;
        }
        self.take(name)?;
        self.skip_blanks();
        self.take("=")?;
        self.skip_blanks();
        let quote = *self.text.as_bytes().get(self.at).filter(|byte| matches!(byte, b'"' | b'\''))?;
        let start = self.at + 1;
        let length = memchr::memchr(quote, &self.text.as_bytes()[start..])?;
        self.at = start + length + 1;
        Some(&self.text[start..start + length])
    }

    fn skip_blanks(&mut self) -> usize {
        let blanks = self.text.as_bytes()[self.at..].iter().take_while(|byte| is_blank(**byte)).count();
        self.at += blanks;
        blanks
    }

    fn take(&mut self, what: &str) -> Option<()> {
        self.text[self.at..].starts_with(what).then(|| self.at += what.len())
    }
}
