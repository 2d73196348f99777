//! The canonical form of XML: Canonical XML 1.0 and 1.1, Exclusive Canonical XML 1.0, each with or without comments,
//! of a whole document or of one element with all that is in it.
//!
//! It streams: long text goes to the sink as slices of the document. Besides the document, memory is bounded by depth
//! and by the attributes and namespace declarations in scope ([`Limits`]). Node sets with holes other than one
//! element left out do not exist here.

mod out;
mod walk;

use super::{Refusal, namespaces::Binding};
use crate::core::Span;
use crate::limits::Limits;

/// How to canonicalise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// By which Recommendation.
    pub kind: Kind,
    /// Whether comments are kept.
    pub comments: bool,
    /// `InclusiveNamespaces`: prefixes that an exclusive form treats as an inclusive one would, the empty one for
    /// `#default`; sorted.
    pub(super) prefixes: Vec<String>,
}

/// The Recommendations. On whole documents and on elements taken as such, the two inclusive ones are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Canonical XML 1.0.
    Inclusive10,
    /// Canonical XML 1.1.
    Inclusive11,
    /// Exclusive Canonical XML 1.0.
    Exclusive,
}

impl Method {
    /// Without comments and without a list of prefixes.
    pub fn new(kind: Kind) -> Self {
        Self { kind, comments: false, prefixes: Vec::new() }
    }

    /// The same with comments.
    pub fn with_comments(self) -> Self {
        Self { comments: true, ..self }
    }

    /// The same with a `PrefixList`, which means something to an exclusive form only.
    pub fn with_prefixes(self, list: &str) -> Self {
        let own = |token: &str| if token == "#default" { String::new() } else { token.to_owned() };
        let mut prefixes: Vec<String> = list.split_ascii_whitespace().map(own).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Self { prefixes, ..self }
    }

    /// Whether declarations of a prefix are written where they stand, used or not.
    pub(super) fn is_inclusive_for(&self, prefix: &str) -> bool {
        self.kind != Kind::Exclusive || self.prefixes.binary_search_by(|known| known.as_str().cmp(prefix)).is_ok()
    }
}

/// The canonical form of a whole document in UTF-8 without a byte order mark.
///
/// # Errors
/// Where the document is not well-formed or has a DOCTYPE, a relative namespace name, or more than the limits allow.
/// What was canonical before has gone to the sink.
pub fn document(text: &str, method: &Method, limits: &Limits, sink: impl FnMut(&[u8])) -> Result<(), Refusal> {
    let apex = Span { start: 0, end: text.len() };
    let element = Element { text, apex, context: &[], without: None, types_are_bound: false };
    walk::canonicalise(&element, false, method, limits, sink)
}

/// One element to be canonicalised.
pub(super) struct Element<'a, 'c> {
    /// The document.
    pub(super) text: &'a str,
    /// The element.
    pub(super) apex: Span,
    /// What is declared outside and counts.
    pub(super) context: &'c [Binding<'a>],
    /// An element inside it to be left out.
    pub(super) without: Option<Span>,
    /// Whether to refuse an `xsi:type` whose prefix means something that the canonical form does not tell.
    pub(super) types_are_bound: bool,
}

/// The canonical form of one element; of nothing more and nothing less.
pub(super) fn element(
    element: &Element<'_, '_>,
    method: &Method,
    limits: &Limits,
    sink: impl FnMut(&[u8]),
) -> Result<(), Refusal> {
    walk::canonicalise(element, true, method, limits, sink)
}
