//! The intake form of a part (design decision 1): a document of its own, the same bytes wherever it is made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::core::{MessageCore, Part, Payload, Root, Span};
use crate::error::Error;
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::Place;
use crate::wellformed::{Attribute, Reader, TokenKind, attribute_value, declared_prefix, split};
use crate::write::escape_attribute;

/// The bytes of a part as a document of its own: the namespace declarations that it uses and inherits are added to
/// its root's start tag, in the order of their prefixes; the Server_GUID and Client_GUID of an unsigned Header, which
/// belong to the hop, are cut out. There is no XML declaration. Where nothing changes, the bytes are shared.
///
/// Prefixes count as used in names of elements and attributes and in the value of `xsi:type`; a message set that
/// puts prefixes elsewhere declares them in its own message.
pub fn self_contained(document: &Validated, core: &MessageCore) -> Bytes {
    standing_alone(document, core, &hop_fields(core))
}

/// The same with its Header as it stands: how a part goes on to whom its Header names.
pub fn addressed(document: &Validated, core: &MessageCore) -> Bytes {
    standing_alone(document, core, &[])
}

fn standing_alone(document: &Validated, core: &MessageCore, cuts: &[Range<usize>]) -> Bytes {
    let bytes = document.slice(core.span);
    let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
    let mut inherited = BTreeMap::new();
    if let Root::Message(root) = &document.document().root {
        gather_inherited(document, root, core.span, &mut inherited);
    }
    // What is validated reads again; if it ever did not, nothing would be added.
    let missing = missing_declarations(text, inherited, &unlimited()).unwrap_or_default();
    if missing.is_empty() && cuts.is_empty() {
        return bytes;
    }
    splice(text, &missing, cuts).into()
}

/// Namespace names by prefix.
pub(crate) type Declarations = BTreeMap<String, String>;

/// Declarations of the ancestors, inner over outer. Only their start tags are read.
fn gather_inherited(document: &Validated, ancestor: &MessageCore, wanted: Span, found: &mut Declarations) {
    let inside = ancestor.payload_span.start <= wanted.start && wanted.end <= ancestor.payload_span.end;
    let Payload::Bundle(parts) = &ancestor.payload else { return };
    if !inside {
        return;
    }
    add_declarations(document, ancestor.span, found);
    add_declarations(document, ancestor.payload_span, found);
    let after = parts.partition_point(|part| span_of(part).start <= wanted.start);
    if let Some(Part::Good(next)) = after.checked_sub(1).and_then(|index| parts.get(index)) {
        gather_inherited(document, next, wanted, found);
    }
}

fn span_of(part: &Part) -> Span {
    match part {
        Part::Good(core) => core.span,
        Part::Bad(bad) => bad.span,
    }
}

fn add_declarations(document: &Validated, element: Span, found: &mut Declarations) {
    let bytes = document.slice(element);
    let limits = unlimited();
    let mut reader = Reader::new(std::str::from_utf8(&bytes).unwrap_or_default(), &limits);
    if reader.read().is_ok() {
        let owned = |(prefix, name): (&str, Cow<'_, str>)| (prefix.to_owned(), name.into_owned());
        found.extend(declarations(reader.attributes()).map(owned));
    }
}

fn declarations<'a>(attributes: &[Attribute<'a>]) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    attributes.iter().filter_map(|attribute| {
        let prefix = declared_prefix(attribute.name)?;
        Some((prefix, attribute_value(attribute.raw)))
    })
}

/// The bounds were kept when the document was validated, perhaps under others than the default.
fn unlimited() -> Limits {
    let max = usize::MAX;
    Limits {
        document_bytes: max,
        depth: max,
        elements: max,
        attributes: max,
        namespaces: max,
        name_bytes: max,
        attribute_bytes: max,
        text_bytes: max,
        guid_bytes: max,
        parts: max,
        signatures: max,
        signature_passes: max,
    }
}

/// Those of the inherited declarations that the part uses without declaring them.
pub(crate) fn missing_declarations(
    text: &str,
    mut inherited: Declarations,
    limits: &Limits,
) -> Result<Declarations, Error> {
    inherited.retain(|_, name| !name.is_empty());
    let mut reader = Reader::new(text, limits);
    let mut scope = Scope { inherited, missing: Declarations::new(), own: Vec::new() };
    // Over the limit nothing more is looked up, for it would be looked up again and again: there is no such document.
    while !scope.inherited.is_empty() && scope.own.len() <= limits.namespaces {
        match reader.read()?.kind {
            TokenKind::Start(name) => scope.enter(reader.depth(), name, reader.attributes()),
            TokenKind::End => scope.leave(reader.depth()),
            TokenKind::Eof => break,
            _ => {}
        }
    }
    Ok(scope.missing)
}

/// Where a part has been read to.
struct Scope<'a> {
    /// Declared outside and not yet found to be used.
    inherited: Declarations,
    missing: Declarations,
    /// Declared inside: depth, prefix, name.
    own: Vec<(usize, &'a str, Cow<'a, str>)>,
}

impl<'a> Scope<'a> {
    fn enter(&mut self, depth: usize, element: &str, attributes: &[Attribute<'a>]) {
        self.own.extend(declarations(attributes).map(|(prefix, name)| (depth, prefix, name)));
        // Without a prefix an element, but not an attribute, is in the default namespace.
        self.use_prefix(split(element).0);
        for attribute in attributes.iter().filter(|attribute| declared_prefix(attribute.name).is_none()) {
            let (prefix, local) = split(attribute.name);
            if prefix.is_empty() {
                continue;
            }
            self.use_prefix(prefix);
            if local == "type" && self.is_xsi(prefix) {
                self.use_prefix(split(attribute_value(attribute.raw).trim()).0);
            }
        }
    }

    fn leave(&mut self, depth: usize) {
        self.own.truncate(self.own.partition_point(|(declared, ..)| *declared <= depth));
    }

    fn own_name(&self, prefix: &str) -> Option<&str> {
        self.own.iter().rev().find(|(_, known, _)| *known == prefix).map(|(.., name)| name.as_ref())
    }

    fn use_prefix(&mut self, prefix: &str) {
        if self.own_name(prefix).is_none()
            && let Some((prefix, name)) = self.inherited.remove_entry(prefix)
        {
            self.missing.insert(prefix, name);
        }
    }

    fn is_xsi(&self, prefix: &str) -> bool {
        let name = self.own_name(prefix).or_else(|| self.missing.get(prefix).map(String::as_str));
        name.is_some_and(|name| Place::of(name) == Place::Xsi)
    }
}

/// Where the header's own GUIDs stand, relative to the part.
fn hop_fields(core: &MessageCore) -> Vec<Range<usize>> {
    let header = &core.header;
    if header.signature.is_some() {
        return Vec::new();
    }
    let server = header.server_guid.as_ref().map(|guid| guid.span);
    let client = header.client_guid.as_ref().map(|guid| guid.span);
    let mut cuts: Vec<Range<usize>> = [server, client]
        .into_iter()
        .flatten()
        .map(|span| span.start - core.span.start..span.end - core.span.start)
        .collect();
    cuts.sort_unstable_by_key(|cut| cut.start);
    cuts
}

fn splice(text: &str, missing: &Declarations, cuts: &[Range<usize>]) -> String {
    let name_end = text.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(text.len());
    let mut out = String::with_capacity(text.len() + 128 * missing.len());
    out.push_str(&text[..name_end]);
    for (prefix, name) in missing {
        let colon = if prefix.is_empty() { "" } else { ":" };
        out.push_str(" xmlns");
        out.push_str(colon);
        out.push_str(prefix);
        out.push_str("=\"");
        escape_attribute(name, &mut out);
        out.push('"');
    }
    let mut at = name_end;
    for cut in cuts {
        out.push_str(&text[at..cut.start]);
        at = cut.end;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests;
