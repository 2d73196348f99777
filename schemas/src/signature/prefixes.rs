//! The prefixes that an exclusive form would leave out although something depends on them.

use std::collections::BTreeSet;

use super::Refusal;
use super::namespaces::Bindings;
use crate::core::Span;
use crate::limits::Limits;
use crate::names::XSI;
use crate::wellformed::{Reader, TokenKind, attribute_value, declared_prefix, split};

/// The prefixes in the values of `xsi:type` inside an element, as a `PrefixList` (S18).
pub(super) fn of_types(text: &str, scope: Span, limits: &Limits) -> Result<String, Refusal> {
    let mut reader = Reader::new(text, limits);
    let mut bindings = Bindings::default();
    let mut found = BTreeSet::new();
    loop {
        let token = reader.read().map_err(|error| Refusal::of_reader(error, text))?;
        match token.kind {
            TokenKind::Start(_) => {
                bindings.declare(reader.attributes(), reader.depth(), limits)?;
                if scope.range().contains(&token.span.start) {
                    add(&reader, &bindings, &mut found)?;
                }
            }
            TokenKind::End if token.span.end >= scope.end => break,
            TokenKind::End => bindings.leave(reader.depth() + 1),
            TokenKind::Eof => break,
            _ => {}
        }
    }
    let list: Vec<&str> = found.iter().map(|prefix| if prefix.is_empty() { "#default" } else { prefix }).collect();
    Ok(list.join(" "))
}

fn add(reader: &Reader<'_>, bindings: &Bindings<'_>, found: &mut BTreeSet<String>) -> Result<(), Refusal> {
    for attribute in reader.attributes().iter().filter(|attribute| declared_prefix(attribute.name).is_none()) {
        if bindings.attribute(attribute.name)? == (XSI, "type") {
            found.insert(split(attribute_value(attribute.raw).trim()).0.to_owned());
        }
    }
    Ok(())
}
