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
