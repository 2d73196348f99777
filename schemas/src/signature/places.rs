//! What is declared around the signatures of a document, found in one pass.

use super::Refusal;
use super::canon::Method;
use super::namespaces::{Binding, Bindings};
use crate::core::Span;
use crate::limits::Limits;
use crate::part;
use crate::wellformed::{Reader, TokenKind};

/// A document being read as far as its signatures stand.
pub(super) struct Places<'a, 'l> {
    text: &'a str,
    limits: &'l Limits,
    reader: Reader<'a>,
    bindings: Bindings<'a>,
    open: Vec<Open>,
    /// Why reading cannot go on.
    broken: Option<Refusal>,
}

/// An open element.
struct Open {
    start: usize,
    /// Declarations in scope before its own.
    outside: usize,
    /// Whether it has attributes such as `xml:lang`.
    has_xml: bool,
}

/// A Signature at which reading has stopped, and its scope.
pub(super) struct Place<'a, 'p> {
    pub(super) text: &'a str,
    pub(super) limits: &'p Limits,
    pub(super) scope: Span,
    pub(super) signature: Span,
    /// In scope at the Signature, its own declarations included.
    bindings: &'p Bindings<'a>,
    /// How many of them stand outside of the scope, and outside of the Signature.
    outside_scope: usize,
    outside_signature: usize,
    /// Whether the Signature or an element around it, up to the scope, has attributes such as `xml:lang`.
    pub(super) has_xml: bool,
}

impl<'a, 'l> Places<'a, 'l> {
    pub(super) fn new(text: &'a str, limits: &'l Limits) -> Self {
        let (reader, bindings, open) = (Reader::new(text, limits), Bindings::default(), Vec::new());
        Self { text, limits, reader, bindings, open, broken: None }
    }

    /// Reads on to a Signature, which must stand behind the one before. The scope must be around it.
    pub(super) fn go_to<'p>(&'p mut self, signature: Span, scope: Span) -> Result<Place<'a, 'p>, Refusal>
    where
        'l: 'p,
    {
        if self.text.get(scope.range()).is_none() || self.text.get(signature.range()).is_none() {
            return Err(Refusal::Place);
        }
        while self.open.last().is_none_or(|open| open.start != signature.start) {
            self.broken.clone().map_or(Ok(()), Err)?;
            self.step().inspect_err(|refusal| self.broken = Some(refusal.clone()))?;
        }
        let found = self.open.iter().rposition(|open| open.start == scope.start);
        let (Some(found), Some(own)) = (found, self.open.last()) else { return Err(Refusal::Place) };
        if found + 1 == self.open.len() || signature.end > scope.end {
            return Err(Refusal::Place);
        }
        Ok(Place {
            text: self.text,
            limits: self.limits,
            scope,
            signature,
            bindings: &self.bindings,
            outside_scope: self.open[found].outside,
            outside_signature: own.outside,
            has_xml: self.open[found..].iter().any(|open| open.has_xml),
        })
    }

    fn step(&mut self) -> Result<(), Refusal> {
        let token = self.reader.read().map_err(|error| Refusal::of_reader(error, self.text))?;
        match token.kind {
            TokenKind::Start(_) => {
                let attributes = self.reader.attributes();
                let has_xml = attributes.iter().any(|attribute| attribute.name.starts_with("xml:"));
                self.open.push(Open { start: token.span.start, outside: self.bindings.all().len(), has_xml });
                self.bindings.declare(attributes, self.reader.depth(), self.limits)
            }
            TokenKind::End => {
                self.open.pop();
                self.bindings.leave(self.reader.depth() + 1);
                Ok(())
            }
            TokenKind::Eof => Err(Refusal::Place),
            _ => Ok(()),
        }
    }
}

impl<'a> Place<'a, '_> {
    /// What is declared around the Signature.
    pub(super) fn around_signature(&self) -> &[Binding<'a>] {
        &self.bindings.all()[..self.outside_signature]
    }

    /// What is declared outside of the scope and belongs to it as a document of its own: as the intake form of a part
    /// has it ([`part`]), so that neither taking the scope out nor putting it into an envelope changes its form. An
    /// exclusive form takes of these what it uses.
    pub(super) fn around_scope(&self, method: &Method) -> Vec<Binding<'a>> {
        let outside = &self.bindings.all()[..self.outside_scope];
        let listed = |binding: &&Binding<'a>| method.is_inclusive_for(binding.prefix);
        let mut inherited = part::Declarations::new();
        for binding in outside.iter().filter(listed) {
            inherited.insert(binding.prefix.to_owned(), binding.name.clone().into_owned());
        }
        let used = match inherited.is_empty() {
            true => inherited,
            false => self.used(inherited),
        };
        let kept = |binding: &&Binding<'a>| !listed(binding) || used.contains_key(binding.prefix);
        outside.iter().filter(kept).cloned().collect()
    }

    fn used(&self, inherited: part::Declarations) -> part::Declarations {
        // A scope that does not read has no canonical form either, and is refused for that.
        part::missing_declarations(&self.text[self.scope.range()], inherited, self.limits).unwrap_or_default()
    }

    /// What is declared around SignedInfo in the scope as a document of its own.
    pub(super) fn around_signed_info(&self, method: &Method) -> Vec<Binding<'a>> {
        let mut context = self.around_scope(method);
        context.extend_from_slice(&self.bindings.all()[self.outside_scope..]);
        context
    }
}
