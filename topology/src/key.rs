//! What the index of subscriptions and the postings of items have in common.

use std::collections::BTreeSet;

/// One thing that an interest waits for and that an item can name. If an item applies to an interest, they share a
/// key; sharing one proves nothing yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchKey {
    /// A component, by its [folded](crate::name::Name::folded) name.
    File(Box<str>),
    /// A product.
    Product(Box<str>),
    /// A vendor.
    Company(Box<str>),
    /// An identifier, by its [`id_key`].
    Id(Box<str>),
    /// A speaker.
    Source(Box<str>),
    /// Interests that name none of these; every item has it.
    Everything,
}

/// A set of keys, in their order.
pub type Keys = BTreeSet<MatchKey>;

/// An identifier as it is compared: upper case, and an old `CAN-` name as its `CVE-` name (C-7).
pub fn id_key(id: &str) -> Box<str> {
    let id = id.trim().to_ascii_uppercase();
    match id.strip_prefix("CAN-") {
        Some(number) => format!("CVE-{number}").into(),
        None => id.into(),
    }
}

/// The text without blanks outside; `None` if nothing is left.
pub(crate) fn given(text: Option<&str>) -> Option<Box<str>> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(Into::into)
}
