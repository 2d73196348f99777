//! Which prefix means what at a place of a document, also where reading begins in the middle of it.

use std::borrow::Cow;

use super::Refusal;
use crate::limits::Limits;
use crate::wellformed::{Attribute, attribute_value, check_declaration, declared_prefix, split};

/// What the prefix `xml` means, without a declaration.
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// A declaration in scope.
#[derive(Clone, Debug)]
pub(super) struct Binding<'a> {
    /// Empty for the default namespace.
    pub(super) prefix: &'a str,
    /// The namespace name; empty where the default namespace is undeclared.
    pub(super) name: Cow<'a, str>,
    /// Depth of the element that declares it; 0 for what came from outside.
    pub(super) depth: usize,
}

/// The declarations in scope, outer before inner.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings<'a>(Vec<Binding<'a>>);

impl<'a> Bindings<'a> {
    /// What is in scope outside.
    pub(super) fn inherited(context: &[Binding<'a>]) -> Self {
        Self(context.iter().map(|binding| Binding { depth: 0, ..binding.clone() }).collect())
    }

    /// Brings the declarations of a start tag into scope.
    pub(super) fn declare(
        &mut self,
        attributes: &[Attribute<'a>],
        depth: usize,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        for attribute in attributes {
            let Some(prefix) = declared_prefix(attribute.name) else { continue };
            if self.0.len() == limits.namespaces {
                return Err(Refusal::Limit { name: "namespaces", limit: limits.namespaces });
            }
            let name = attribute_value(attribute.raw);
            check_declaration(prefix, &name).map_err(|what| Refusal::NotWellFormed(what.to_owned()))?;
            self.0.push(Binding { prefix, name, depth });
        }
        Ok(())
    }

    /// Forgets what elements at this depth and below have declared, once they are closed.
    pub(super) fn leave(&mut self, depth: usize) {
        self.0.truncate(self.0.partition_point(|binding| binding.depth < depth));
    }

    pub(super) fn all(&self) -> &[Binding<'a>] {
        &self.0
    }

    /// The innermost declaration of a prefix.
    pub(super) fn position(&self, prefix: &str) -> Option<usize> {
        self.0.iter().rposition(|binding| binding.prefix == prefix)
    }

    /// What a prefix means; the empty name for no prefix without a default namespace, none for one not declared.
    pub(super) fn find(&self, prefix: &str) -> Option<&str> {
        match self.position(prefix) {
            Some(index) => Some(&self.0[index].name),
            None if prefix == "xml" => Some(XML),
            None => prefix.is_empty().then_some(""),
        }
    }

    /// Namespace and local name of an element.
    pub(super) fn element<'n>(&self, name: &'n str) -> Result<(&str, &'n str), Refusal> {
        let (prefix, local) = split(name);
        Ok((self.find(prefix).ok_or_else(undeclared)?, local))
    }

    /// Namespace and local name of an attribute: without a prefix it is in none.
    pub(super) fn attribute<'n>(&self, name: &'n str) -> Result<(&str, &'n str), Refusal> {
        match split(name) {
            ("", local) => Ok(("", local)),
            (prefix, local) => Ok((self.find(prefix).ok_or_else(undeclared)?, local)),
        }
    }
}

fn undeclared() -> Refusal {
    Refusal::NotWellFormed("a prefix that is not declared".to_owned())
}
