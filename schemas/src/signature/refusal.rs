//! Why a signature proves nothing.

use crate::error::{Error, ErrorKind};

/// Why something cannot be canonicalised, or a signature is not accepted. Each has a stable [`Refusal::code`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A DOCTYPE: never accepted (schema-notes 6).
    #[error("a DOCTYPE, which is never accepted")]
    DocType,
    /// Not well-formed, with or without namespaces.
    #[error("not well-formed: {0}")]
    NotWellFormed(String),
    /// Over one of the [`crate::limits::Limits`].
    #[error("limit: {name} is over {limit}")]
    Limit {
        /// The limit's field name.
        name: &'static str,
        /// Its value.
        limit: usize,
    },
    /// A namespace name that is a relative reference, which has no canonical form (C14N 1.0, 1.3).
    #[error("a relative namespace name has no canonical form")]
    RelativeNamespace,
    /// The prefix in an `xsi:type` has a meaning that is not in the canonical form (S18).
    #[error("an xsi:type whose prefix is neither visibly used nor listed, so that what it means is not signed")]
    ValuePrefix,
    /// What was to be left out is no element of what was to be canonicalised.
    #[error("the Signature is no element of its scope")]
    Place,
}

impl Refusal {
    /// A name that does not change from version to version, for logs, counters and other programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DocType => "doctype",
            Self::NotWellFormed(_) => "not-well-formed",
            Self::Limit { .. } => "limit",
            Self::RelativeNamespace => "relative-namespace",
            Self::ValuePrefix => "value-prefix",
            Self::Place => "place",
        }
    }

    /// What the reader found in this text.
    pub(super) fn of_reader(error: Error, text: &str) -> Self {
        match error.kind {
            ErrorKind::Limit { name, limit } => Self::Limit { name, limit },
            _ if text.as_bytes().get(error.byte..).is_some_and(|rest| rest.starts_with(b"<!DOCTYPE")) => Self::DocType,
            ErrorKind::Encoding(what) | ErrorKind::NotWellFormed(what) | ErrorKind::Grammar(what) => {
                Self::NotWellFormed(what)
            }
        }
    }
}
