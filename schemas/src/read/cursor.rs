//! Walks the elements of a document, one child after the other.

use std::borrow::Cow;

use bytestring::ByteString;

use super::text::{Piece, Text};
use crate::core::{Identifier, Span};
use crate::error::{Error, ErrorKind, Refused};
use crate::guid::MessageId;
use crate::limits::Limits;
use crate::names::{self, Place, Spelling};
use crate::wellformed::{LIMIT_CLAUSE, Namespaces, Resolved, TokenKind, attribute_value, is_blank_text};

/// An element whose start tag has been read.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) name: Resolved<'a>,
    /// Where its start tag begins.
    pub(super) start: usize,
    /// Where its content begins.
    pub(super) content: usize,
    /// Open elements, itself included.
    pub(super) depth: usize,
}

impl<'a> Element<'a> {
    /// Namespace and local name, to match on.
    pub(super) fn key(&self) -> (Place, &'a str) {
        (self.name.place, self.name.local)
    }
}

/// The document being read, and what a refusal needs to know of it.
pub(super) struct Cursor<'a> {
    source: &'a ByteString,
    limits: &'a Limits,
    xml: Namespaces<'a>,
    lines: Lines<'a>,
    /// Span of the token read last.
    last: Span,
    parts: usize,
    messages: usize,
    pub(super) spelling: Spelling,
    pub(super) is_reply: bool,
    /// `Message_ID` of the part being read, once its header has told it.
    pub(super) message_id: Option<Identifier<MessageId>>,
    /// The root's, for a refusal of the whole.
    outer_message_id: Option<Identifier<MessageId>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a ByteString, limits: &'a Limits) -> Self {
        Self {
            source,
            limits,
            xml: Namespaces::new(source, limits),
            lines: Lines { text: source.as_bytes(), byte: 0, line: 1 },
            last: Span::default(),
            parts: 0,
            messages: 0,
            spelling: Spelling::default(),
            is_reply: false,
            message_id: None,
            outer_message_id: None,
        }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    pub(super) fn into_refusal(self, error: Error) -> Refused {
        Refused {
            error,
            message_id: self.outer_message_id.map(Box::new),
            is_reply: self.is_reply,
            spelling: self.spelling,
        }
    }

    /// Keeps the `Message_ID` of the header being read, for an answer to a fault behind it.
    pub(super) fn note_message_id(&mut self, id: Option<&Identifier<MessageId>>) {
        self.message_id = id.cloned();
        if self.parts == 0 {
            self.outer_message_id = id.cloned();
        }
    }

    /// The root element.
    pub(super) fn root(&mut self) -> Result<Element<'a>, Error> {
        loop {
            // A document without a root is refused by the layer below.
            if let (_, Some(element)) = self.token()? {
                return Ok(element);
            }
        }
    }

    /// Reads what follows the root, so that nothing is returned of a document that is not well-formed to its end.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        while self.token()?.0 != TokenKind::Eof {}
        Ok(())
    }

    /// The next child of an element that holds elements only; none when its end tag has been read.
    pub(super) fn child(&mut self, parent: &Element<'a>) -> Result<Option<Element<'a>>, Error> {
        loop {
            let blank = match self.token()? {
                (_, Some(element)) => return Ok(Some(element)),
                (TokenKind::End | TokenKind::Eof, None) => return Ok(None),
                (TokenKind::Text(text) | TokenKind::Data(text), None) => is_blank_text(text),
                (TokenKind::Reference(c), None) => matches!(c, ' ' | '\t' | '\r' | '\n'),
                _ => true,
            };
            if !blank {
                let what = format!("text in {}, which holds elements only", parent.name.local);
                return Err(self.grammar(self.last.start, "11", what));
            }
        }
    }

    /// The whole text of an element without children.
    pub(super) fn text(&mut self, element: &Element<'a>) -> Result<ByteString, Error> {
        self.bounded_text(element, "text_bytes", self.limits.text_bytes)
    }

    /// The same under another limit.
    pub(super) fn bounded_text(
        &mut self,
        element: &Element<'a>,
        name: &'static str,
        limit: usize,
    ) -> Result<ByteString, Error> {
        let mut text = Text::default();
        while let Some(piece) = self.piece(element)? {
            text.push(piece);
            if text.len() > limit {
                return Err(self.error(ErrorKind::Limit { name, limit }, element.start, LIMIT_CLAUSE));
            }
        }
        Ok(text.own(self.source))
    }

    /// The text of an element that may well hold something else, in a message set that is not known here: none if it
    /// has children or is over the limit.
    pub(super) fn simple_text(&mut self, element: &Element<'a>, limit: usize) -> Result<Option<ByteString>, Error> {
        let mut text = Some(Text::default());
        while !self.is_closed(element) {
            match self.token()? {
                (_, Some(_)) => text = None,
                (kind, None) => {
                    if let (Some(text), Some(piece)) = (text.as_mut(), Piece::of(kind)) {
                        text.push(piece);
                    }
                }
            }
            text = text.filter(|text| text.len() <= limit);
        }
        Ok(text.map(|text| text.own(self.source)))
    }

    /// The base64 text of an element: as it stands, carriage returns included, for they are blanks to base64.
    pub(super) fn raw_text(&mut self, element: &Element<'a>) -> Result<ByteString, Error> {
        let mut text = Text::default();
        while let Some(piece) = self.piece(element)? {
            text.push(piece.raw());
        }
        Ok(text.own(self.source))
    }

    /// Character data, or, where there are child elements, the markup between the tags as it stands (D1), but for
    /// comments.
    pub(super) fn mixed(&mut self, element: &Element<'a>) -> Result<Option<ByteString>, Error> {
        let limit = self.limits.text_bytes;
        let mut text = Text::default();
        let mut markup = false;
        while !self.is_closed(element) {
            match self.token()? {
                (_, Some(_)) => markup = true,
                (kind, None) if !markup => Piece::of(kind).into_iter().for_each(|piece| text.push(piece)),
                _ => {}
            }
            if text.len() > limit || (markup && self.last.start - element.content > limit) {
                let kind = ErrorKind::Limit { name: "text_bytes", limit };
                return Err(self.error(kind, element.start, LIMIT_CLAUSE));
            }
        }
        if markup {
            text = Text::markup(&self.source[element.content..self.last.start]);
        }
        Ok((text.len() > 0).then(|| text.own(self.source)))
    }

    /// Goes past the end of an element, wherever inside it reading has stopped.
    pub(super) fn close(&mut self, element: &Element<'a>) -> Result<(), Error> {
        while !self.is_closed(element) {
            self.token()?;
        }
        Ok(())
    }

    /// Whether an element's end tag has been read.
    pub(super) fn is_closed(&self, element: &Element<'a>) -> bool {
        self.xml.depth() < element.depth
    }

    /// From an element's start to the end of the token read last.
    pub(super) fn span_from(&self, element: &Element<'a>) -> Span {
        Span { start: element.start, end: self.last.end }
    }

    /// The `ref` attribute of the start tag read last.
    pub(super) fn reference(&mut self) -> Option<ByteString> {
        let raw = self.xml.attribute("ref")?;
        Some(match attribute_value(raw) {
            Cow::Borrowed(value) => self.source.slice_ref(value),
            Cow::Owned(value) => value.into(),
        })
    }

    /// `xsi:type` of the start tag read last.
    pub(super) fn xsi_type(&mut self) -> Option<(Place, String)> {
        self.xml.xsi_type()
    }

    pub(super) fn namespace(&self, element: &Element<'a>) -> ByteString {
        self.xml.namespace(&element.name)
    }

    pub(super) fn local_name(&self, element: &Element<'a>) -> ByteString {
        self.source.slice_ref(element.name.local)
    }

    pub(super) fn spelling_of(&self, element: &Element<'a>) -> Spelling {
        names::spelling_of(&self.xml.namespace(&element.name))
    }

    /// Counts one more nested part.
    pub(super) fn count_part(&mut self, element: &Element<'a>) -> Result<(), Error> {
        self.parts += 1;
        self.check_count(self.parts, element)
    }

    /// Counts one more message.
    pub(super) fn count_message(&mut self, element: &Element<'a>) -> Result<(), Error> {
        self.messages += 1;
        self.check_count(self.messages, element)
    }

    fn check_count(&mut self, count: usize, element: &Element<'a>) -> Result<(), Error> {
        let limit = self.limits.parts;
        if count <= limit {
            return Ok(());
        }
        Err(self.error(ErrorKind::Limit { name: "parts", limit }, element.start, LIMIT_CLAUSE))
    }

    /// A fault of the grammar at a byte.
    pub(super) fn grammar(&mut self, byte: usize, clause: &'static str, what: impl Into<String>) -> Error {
        self.error(ErrorKind::Grammar(what.into()), byte, clause)
    }

    /// An element that is not there, seen to be missing at the token read last.
    pub(super) fn missing(&mut self, clause: &'static str, name: &str) -> Error {
        self.grammar(self.last.start, clause, format!("{name} is missing"))
    }

    /// An element where the grammar has no place for it.
    pub(super) fn unexpected(&mut self, element: &Element<'a>, parent: &str, clause: &'static str) -> Error {
        const NAME_CHARS_MAX: usize = 64;
        let name: String = element.name.local.chars().take(NAME_CHARS_MAX).collect();
        let (what, clause) = match element.name.place {
            Place::Core if name.starts_with("Abstract") => (format!("abstract element {name} in {parent}"), "10.1.4"),
            Place::Unqualified => (format!("unqualified element {name} in {parent}"), "11.1"),
            _ => (format!("unexpected element {name} in {parent}"), clause),
        };
        self.grammar(element.start, clause, what)
    }

    fn error(&mut self, kind: ErrorKind, byte: usize, clause: &'static str) -> Error {
        Error { kind, byte, line: self.lines.of(byte), clause }
    }

    pub(super) fn token(&mut self) -> Result<(TokenKind<'a>, Option<Element<'a>>), Error> {
        let (token, name) = self.xml.read()?;
        self.last = token.span;
        let depth = self.xml.depth();
        let element = |name| Element { name, start: token.span.start, content: token.span.end, depth };
        Ok((token.kind, name.map(element)))
    }

    /// The next piece of an element's text; none when its end tag has been read.
    fn piece(&mut self, element: &Element<'a>) -> Result<Option<Piece<'a>>, Error> {
        loop {
            match self.token()? {
                (_, Some(child)) => {
                    let parent = element.name.local;
                    return Err(self.unexpected(&child, parent, "11"));
                }
                (TokenKind::End | TokenKind::Eof, None) => return Ok(None),
                (kind, None) => {
                    if let Some(piece) = Piece::of(kind) {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

/// Line numbers of bytes that mostly grow, without counting from the top each time.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, byte: usize) -> usize {
        let feeds = |range: std::ops::Range<usize>| memchr::memchr_iter(b'\n', &self.text[range]).count();
        if byte >= self.byte {
            self.line += feeds(self.byte..byte);
        } else {
            self.line -= feeds(byte..self.byte);
        }
        self.byte = byte;
        self.line
    }
}
