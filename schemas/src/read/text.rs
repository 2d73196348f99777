//! Texts of elements, gathered from their pieces.

use bytestring::ByteString;

use crate::wellformed::{TokenKind, push_lines};

/// A stretch of character data.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Whose line ends are to be normalised.
    Lines(&'a str),
    /// As it stands.
    Raw(&'a str),
    Char(char),
}

impl<'a> Piece<'a> {
    pub(super) fn of(kind: TokenKind<'a>) -> Option<Self> {
        match kind {
            TokenKind::Text(text) | TokenKind::Data(text) => Some(Self::Lines(text)),
            TokenKind::Reference(c) => Some(Self::Char(c)),
            _ => None,
        }
    }

    pub(super) fn raw(self) -> Self {
        if let Self::Lines(text) = self { Self::Raw(text) } else { self }
    }
}

/// Text as it is gathered: a slice of the document for as long as one will do.
#[derive(Default)]
pub(super) struct Text<'a> {
    slice: &'a str,
    built: Option<String>,
}

impl<'a> Text<'a> {
    /// A slice of the document.
    pub(super) fn slice(slice: &'a str) -> Self {
        Self { slice, built: None }
    }

    /// The content of an element as it stands, without its comments: no signature covers them, so that anybody could put
    /// one in.
    pub(super) fn markup(content: &'a str) -> Self {
        if memchr::memmem::find(content.as_bytes(), b"<!--").is_none() {
            return Self::slice(content);
        }
        let mut text = Self::default();
        let mut rest = content;
        while let Some(at) = memchr::memchr(b'<', rest.as_bytes()) {
            let (before, markup) = rest.split_at(at);
            text.push_slice(before);
            let end = match markup {
                comment if comment.starts_with("<!--") => {
                    rest = past(comment, "-->");
                    continue;
                }
                data if data.starts_with("<![CDATA[") => past(data, "]]>"),
                instruction if instruction.starts_with("<?") => past(instruction, "?>"),
                tag => &tag[1..],
            };
            text.push_slice(&markup[..markup.len() - end.len()]);
            rest = end;
        }
        text.push_slice(rest);
        text
    }

    /// The text itself, a slice of the document if it can be one.
    pub(super) fn own(self, source: &ByteString) -> ByteString {
        match self.built {
            Some(built) => built.into(),
            None if self.slice.is_empty() => ByteString::new(),
            None => source.slice_ref(self.slice),
        }
    }

    fn as_str(&self) -> &str {
        self.built.as_deref().unwrap_or(self.slice)
    }

    pub(super) fn len(&self) -> usize {
        self.as_str().len()
    }

    pub(super) fn push(&mut self, piece: Piece<'a>) {
        match piece {
            Piece::Lines(text) if text.contains('\r') => push_lines(self.built(), text),
            Piece::Lines(text) | Piece::Raw(text) => self.push_slice(text),
            Piece::Char(c) => self.built().push(c),
        }
    }

    fn push_slice(&mut self, text: &'a str) {
        if self.len() == 0 {
            *self = Self::slice(text);
        } else {
            self.built().push_str(text);
        }
    }

    fn built(&mut self) -> &mut String {
        let slice = self.slice;
        self.built.get_or_insert_with(|| slice.to_owned())
    }
}

/// What follows the end of a piece of markup, which in a well-formed document there is.
fn past<'a>(markup: &'a str, end: &str) -> &'a str {
    memchr::memmem::find(markup.as_bytes(), end.as_bytes()).map_or("", |at| &markup[at + end.len()..])
}
