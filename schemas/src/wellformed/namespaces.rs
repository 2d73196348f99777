//! Namespaces in XML 1.0 over the tokens of [`Reader`].

use bytestring::ByteString;

use super::characters::is_ncname;
use super::{Attribute, Fault, Reader, Token, TokenKind, attribute_value};
use crate::core::Span;
use crate::error::Error;
use crate::limits::Limits;
use crate::names::Place;

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// A [`Reader`] that knows which namespace each element is in, and refuses a prefix that is not declared: of an
/// element, of an attribute, or of the value of `xsi:type`.
pub struct Namespaces<'a> {
    reader: Reader<'a>,
    bindings: Vec<Binding<'a>>,
    steps: usize,
}

/// The name of an element with its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// Local name.
    pub local: &'a str,
    /// What its namespace means here.
    pub place: Place,
    binding: Option<usize>,
}

/// A declaration in scope.
struct Binding<'a> {
    prefix: &'a str,
    /// A copy, made once: whoever keeps it shares it, however many elements are in the namespace.
    name: ByteString,
    place: Place,
    /// Depth of the element that declares it.
    depth: usize,
}

impl<'a> Namespaces<'a> {
    /// Starts at the beginning of a document.
    pub fn new(text: &'a str, limits: &Limits) -> Self {
        Self { reader: Reader::new(text, limits), bindings: Vec::new(), steps: 0 }
    }

    /// The next token, and for a start tag its resolved name.
    ///
    /// # Errors
    /// As [`Reader::read`], and where the document is not namespace-well-formed.
    pub fn read(&mut self) -> Result<(Token<'a>, Option<Resolved<'a>>), Error> {
        let text = self.reader.text();
        self.next().map_err(|fault| fault.locate(text))
    }

    fn next(&mut self) -> Result<(Token<'a>, Option<Resolved<'a>>), Fault> {
        let token = self.reader.next()?;
        match token.kind {
            TokenKind::Start(name) => {
                self.declare()?;
                let resolved = self.resolve_element(name, token.span.start)?;
                self.check_attributes()?;
                Ok((token, Some(resolved)))
            }
            TokenKind::End => {
                let depth = self.reader.depth();
                while self.bindings.last().is_some_and(|binding| binding.depth > depth) {
                    self.bindings.pop();
                }
                Ok((token, None))
            }
            TokenKind::Instruction => self.check_target(token.span).map(|()| (token, None)),
            TokenKind::Declaration
            | TokenKind::Text(_)
            | TokenKind::Data(_)
            | TokenKind::Reference(_)
            | TokenKind::Comment
            | TokenKind::Eof => Ok((token, None)),
        }
    }

    /// The attributes of the start tag read last.
    pub fn attributes(&self) -> &[Attribute<'a>] {
        self.reader.attributes()
    }

    /// Elements that are open.
    pub fn depth(&self) -> usize {
        self.reader.depth()
    }

    /// Steps so far, declarations looked at included; bounded by [`Limits::steps`].
    pub fn steps(&self) -> usize {
        self.reader.steps() + self.steps
    }

    /// The namespace name of an element that is still open, as its author wrote it.
    pub fn namespace(&self, name: &Resolved<'a>) -> ByteString {
        name.binding.and_then(|index| self.bindings.get(index)).map(|binding| binding.name.clone()).unwrap_or_default()
    }

    /// The value of an unqualified attribute of the start tag read last, as it stands.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes().iter().find(|attribute| attribute.name == name).map(|attribute| attribute.raw)
    }

    /// The value of `xsi:type` of the start tag read last: namespace and local name.
    pub fn xsi_type(&mut self) -> Option<(Place, String)> {
        let attributes: Vec<Attribute<'a>> = self.attributes().to_vec();
        let value = attributes.iter().find(|attribute| self.is_xsi_type(attribute)).map(|a| attribute_value(a.raw))?;
        let (prefix, local) = split(value.trim());
        let place = self.find(prefix).map_or(Place::Unqualified, |index| self.bindings[index].place);
        Some((place, local.to_owned()))
    }

    /// Brings the declarations of the start tag read last into scope.
    fn declare(&mut self) -> Result<(), Fault> {
        let limits = self.reader.limits();
        for attribute in self.reader.attributes() {
            let Some(prefix) = declared_prefix(attribute.name) else { continue };
            if self.bindings.len() == limits.namespaces {
                return Err(Fault::limit(attribute.byte, "namespaces", limits.namespaces));
            }
            if attribute.raw.len() > limits.name_bytes {
                return Err(Fault::limit(attribute.byte, "name_bytes", limits.name_bytes));
            }
            let name = attribute_value(attribute.raw);
            check_declaration(prefix, &name).map_err(|what| Fault::syntax(attribute.byte, what))?;
            let place = Place::of(&name);
            self.bindings.push(Binding { prefix, name: name.as_ref().into(), place, depth: self.reader.depth() });
        }
        Ok(())
    }

    fn resolve_element(&mut self, name: &'a str, byte: usize) -> Result<Resolved<'a>, Fault> {
        let (prefix, local) = qualified(name).ok_or_else(|| Fault::syntax(byte, "a name with misplaced colons"))?;
        let binding = self.find(prefix);
        if binding.is_none() && !prefix.is_empty() && prefix != "xml" {
            return Err(undeclared(byte));
        }
        let place = match binding {
            Some(index) => self.bindings[index].place,
            None if prefix.is_empty() => Place::Unqualified,
            None => Place::Other,
        };
        Ok(Resolved { local, place, binding })
    }

    /// Every prefix declared, no expanded name twice, `xsi:type` resolvable.
    fn check_attributes(&mut self) -> Result<(), Fault> {
        if !self.attributes().iter().any(|attribute| attribute.name.contains(':')) {
            return Ok(());
        }
        let attributes: Vec<Attribute<'a>> = self.attributes().to_vec();
        let mut expanded: Vec<(usize, &'a str)> = Vec::new();
        for attribute in attributes.iter().filter(|attribute| declared_prefix(attribute.name).is_none()) {
            let fault = || Fault::syntax(attribute.byte, "a name with misplaced colons");
            let (prefix, local) = qualified(attribute.name).ok_or_else(fault)?;
            if prefix.is_empty() || prefix == "xml" {
                continue;
            }
            let binding = self.find(prefix).ok_or_else(|| undeclared(attribute.byte))?;
            expanded.push((binding, local));
            if self.is_xsi_type(attribute) {
                self.check_type(attribute)?;
            }
        }
        self.check_expanded(expanded, attributes[0].byte)
    }

    fn check_type(&mut self, attribute: &Attribute<'a>) -> Result<(), Fault> {
        let value = attribute_value(attribute.raw);
        let (prefix, local) = split(value.trim());
        if !is_ncname(local) || !(prefix.is_empty() || is_ncname(prefix)) {
            return Err(Fault::syntax(attribute.byte, "an xsi:type that is no qualified name"));
        }
        if !prefix.is_empty() && prefix != "xml" && self.find(prefix).is_none() {
            return Err(undeclared(attribute.byte));
        }
        Ok(())
    }

    fn check_expanded(&self, mut expanded: Vec<(usize, &'a str)>, byte: usize) -> Result<(), Fault> {
        let key = |(binding, local): &(usize, &'a str)| (&*self.bindings[*binding].name, *local);
        expanded.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        match expanded.windows(2).any(|pair| key(&pair[0]) == key(&pair[1])) {
            true => Err(Fault::syntax(byte, "the same attribute twice, by two prefixes")),
            false => Ok(()),
        }
    }

    fn is_xsi_type(&mut self, attribute: &Attribute<'a>) -> bool {
        match attribute.name.split_once(':') {
            Some((prefix, "type")) => self.find(prefix).is_some_and(|index| self.bindings[index].place == Place::Xsi),
            _ => false,
        }
    }

    fn check_target(&self, span: Span) -> Result<(), Fault> {
        let content = &self.reader.text()[span.start + 2..span.end - 2];
        let target = content.split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
        if is_ncname(target) { Ok(()) } else { Err(Fault::syntax(span.start, "a target with a colon")) }
    }

    /// The innermost declaration of a prefix; none also where the default namespace is undeclared.
    fn find(&mut self, prefix: &str) -> Option<usize> {
        let index = self.bindings.iter().rposition(|binding| binding.prefix == prefix);
        self.steps += index.map_or(self.bindings.len(), |found| self.bindings.len() - found);
        index.filter(|found| !self.bindings[*found].name.is_empty())
    }
}

/// The prefix that an attribute declares, empty for the default namespace; none if it is no declaration.
pub(crate) fn declared_prefix(name: &str) -> Option<&str> {
    if name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") }
}

/// Prefix, empty if there is none, and local part.
pub(crate) fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

fn qualified(name: &str) -> Option<(&str, &str)> {
    // `name` is a name already; what is left are colons, and a local part that begins like no name.
    let (prefix, local) = split(name);
    let whole = prefix.len() == name.len() - local.len();
    (is_ncname(local) && (whole || !prefix.is_empty())).then_some((prefix, local))
}

fn undeclared(byte: usize) -> Fault {
    Fault::syntax(byte, "a prefix that is not declared")
}

/// What is wrong with declaring this prefix as this namespace name.
pub(crate) fn check_declaration(prefix: &str, name: &str) -> Result<(), &'static str> {
    match (prefix, name) {
        ("xmlns", _) => Err("the prefix xmlns declared"),
        ("xml", XML) => Ok(()),
        ("xml", _) => Err("the prefix xml declared as something else"),
        (_, XML | XMLNS) => Err("a reserved namespace declared"),
        ("", _) => Ok(()),
        (_, "") => Err("a prefix undeclared, which only XML 1.1 allows"),
        (prefix, _) if !is_ncname(prefix) => Err("a prefix that is no name"),
        _ => Ok(()),
    }
}
