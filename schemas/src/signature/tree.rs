//! The elements of a Signature, as a small tree.

use std::borrow::Cow;

use super::algorithm::EXCLUSIVE;
use super::namespaces::{Binding, Bindings};
use super::{Refusal, canon};
use crate::base64;
use crate::core::Span;
use crate::limits::Limits;
use crate::names::DSIG;
use crate::wellformed::{Reader, TokenKind, attribute_value, declared_prefix, is_blank_text, push_lines};

/// XML Signature 1.1.
pub(super) const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
/// More is in no Signature that keeps to the profile, a chain of certificates included.
const BYTES_MAX: usize = 64 << 10;

/// The namespaces that matter inside a Signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Dsig,
    Dsig11,
    Exclusive,
    Other,
}

/// An element.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) space: Space,
    pub(super) local: &'a str,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
    children: Vec<Self>,
    text: String,
    /// In the document.
    pub(super) span: Span,
}

impl<'a> Node<'a> {
    /// Reads a Signature. A comment or an instruction inside is refused.
    pub(super) fn read(
        document: &'a str,
        signature: Span,
        context: &[Binding<'a>],
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let text = document.get(signature.range()).ok_or(Refusal::Place)?;
        if text.len() > BYTES_MAX {
            return Err(Refusal::Size(text.len()));
        }
        let mut reader = Reader::new(text, limits);
        let mut bindings = Bindings::inherited(context);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let token = reader.read().map_err(|error| Refusal::of_reader(error, text))?;
            match token.kind {
                TokenKind::Start(name) => {
                    bindings.declare(reader.attributes(), reader.depth(), limits)?;
                    let mut node = Self::start(name, &reader, &bindings)?;
                    node.span.start = signature.start + token.span.start;
                    open.push(node);
                }
                TokenKind::End => {
                    bindings.leave(reader.depth() + 1);
                    let Some(mut node) = open.pop() else { return Err(Refusal::Place) };
                    node.span.end = signature.start + token.span.end;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None if token.span.end == text.len() => return Ok(node),
                        None => return Err(Refusal::Place),
                    }
                }
                TokenKind::Comment | TokenKind::Instruction => return Err(Refusal::Markup),
                TokenKind::Eof => return Err(Refusal::Place),
                kind => open.iter_mut().last().into_iter().for_each(|node| node.add_text(kind)),
            }
        }
    }

    fn start(name: &'a str, reader: &Reader<'a>, bindings: &Bindings<'a>) -> Result<Self, Refusal> {
        let (namespace, local) = bindings.element(name)?;
        let space = match namespace {
            DSIG => Space::Dsig,
            DSIG11 => Space::Dsig11,
            EXCLUSIVE => Space::Exclusive,
            _ => Space::Other,
        };
        let own = reader.attributes().iter().filter(|attribute| declared_prefix(attribute.name).is_none());
        let attributes = own.map(|attribute| (attribute.name, attribute_value(attribute.raw))).collect();
        Ok(Self { space, local, attributes, children: Vec::new(), text: String::new(), span: Span::default() })
    }

    fn add_text(&mut self, kind: TokenKind<'a>) {
        match kind {
            TokenKind::Text(raw) | TokenKind::Data(raw) => push_lines(&mut self.text, raw),
            TokenKind::Reference(c) => self.text.push(c),
            _ => {}
        }
    }

    /// Whether it is this element.
    pub(super) fn is(&self, space: Space, local: &str) -> bool {
        (self.space, self.local) == (space, local)
    }

    /// Its children, of which there must be no text beside.
    pub(super) fn children(&self) -> Result<&[Self], Refusal> {
        if is_blank_text(&self.text) { Ok(&self.children) } else { Err(Refusal::Structure("text beside elements")) }
    }

    /// Its text, of which there must be no elements beside.
    pub(super) fn text(&self) -> Result<&str, Refusal> {
        if self.children.is_empty() { Ok(&self.text) } else { Err(Refusal::Structure("elements inside a value")) }
    }

    /// Its text as base64.
    pub(super) fn bytes(&self, what: &'static str) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        let sink = &mut |piece: &[u8]| bytes.extend_from_slice(piece);
        base64::decode(self.text()?, sink).map_err(|_| Refusal::Base64(what))?;
        Ok(bytes)
    }

    /// An attribute, whatever else there is.
    pub(super) fn any_attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_ref())
    }

    /// An attribute that must be there. Beside it there may be an `Id`, and nothing else.
    pub(super) fn attribute(&self, name: &str) -> Result<&str, Refusal> {
        if self.attributes.iter().any(|(found, _)| *found != name && *found != "Id") {
            return Err(Refusal::Structure("an attribute that has no place"));
        }
        self.any_attribute(name).ok_or(Refusal::Structure("an attribute is missing"))
    }

    /// `Algorithm`, of an element that is otherwise empty.
    pub(super) fn algorithm(&self) -> Result<&str, Refusal> {
        if !self.children()?.is_empty() {
            return Err(Refusal::Structure("parameters of an algorithm that has none"));
        }
        self.attribute("Algorithm")
    }

    /// A canonicalisation with its prefixes; none for another algorithm.
    pub(super) fn canonicalization(&self) -> Result<Option<canon::Method>, Refusal> {
        let Some(method) = canon::Method::of_uri(self.attribute("Algorithm")?) else { return Ok(None) };
        Ok(match self.children()? {
            [] => Some(method),
            [list] if list.is(Space::Exclusive, "InclusiveNamespaces") && method.kind == canon::Kind::Exclusive => {
                list.text()?;
                Some(method.with_prefixes(list.attribute("PrefixList")?))
            }
            _ => return Err(Refusal::Structure("parameters of a canonicalisation")),
        })
    }
}
