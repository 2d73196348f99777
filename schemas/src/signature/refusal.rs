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
    /// The Signature is larger than any that keeps to the profile.
    #[error("a Signature of {0} bytes")]
    Size(usize),
    /// A comment or an instruction inside the Signature, where two readers may see two values.
    #[error("a comment or a processing instruction inside the Signature")]
    Markup,
    /// The Signature is not made as the profile says.
    #[error("Signature: {0}")]
    Structure(&'static str),
    /// SignedInfo is canonicalised in another way than the accepted ones.
    #[error("canonicalisation {0} is not accepted")]
    CanonicalizationMethod(String),
    /// Another algorithm than the accepted ones, such as SHA-1, DSA or HMAC.
    #[error("signature method {0} is not accepted")]
    SignatureMethod(String),
    /// There must be exactly one Reference.
    #[error("{0} references instead of one")]
    ReferenceCount(usize),
    /// The Reference must be to the Signature's own scope: `URI=""`.
    #[error("a reference to {0:?}, not to the scope of the Signature")]
    ReferenceUri(String),
    /// The transforms must be enveloped-signature and one canonicalisation without comments.
    #[error("transforms other than enveloped-signature and canonicalisation: {0}")]
    Transform(String),
    /// Another digest than the accepted ones.
    #[error("digest method {0} is not accepted")]
    DigestMethod(String),
    /// The Signature carries an Object, which nobody here looks at.
    #[error("an Object in the Signature")]
    Object,
    /// DigestValue, SignatureValue or a key is no base64.
    #[error("{0} is no base64")]
    Base64(&'static str),
    /// There is no KeyInfo, or nothing in it that says which key.
    #[error("nothing says which key")]
    KeyMissing,
    /// A KeyName alone, and nobody knows it here.
    #[error("no key of the name {0:?} is known")]
    KeyUnknown(String),
    /// KeyInfo is not made as the profile says, or contradicts itself.
    #[error("KeyInfo: {0}")]
    KeyInfo(&'static str),
    /// A key of another kind than the accepted ones.
    #[error("a key of a kind that is not accepted")]
    KeyUnsupported,
    /// An RSA key of fewer than 2048 or more than 8192 bits.
    #[error("an RSA key of {0} bits")]
    KeySize(usize),
    /// The key is of another kind than the signature method.
    #[error("the key is none of the signature method")]
    KeyMethod,
    /// Attributes such as `xml:lang` around SignedInfo, which inclusive canonicalisation would draw in.
    #[error("xml: attributes around an inclusively canonicalised SignedInfo")]
    XmlAttribute,
    /// The scope is not what was signed.
    #[error("the scope is not what was signed")]
    DigestMismatch,
    /// SignedInfo is not what this key signed.
    #[error("not signed with this key")]
    SignatureMismatch,
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
            Self::Size(_) => "signature-size",
            Self::Markup => "markup",
            Self::Structure(_) => "structure",
            Self::CanonicalizationMethod(_) => "canonicalization-method",
            Self::SignatureMethod(_) => "signature-method",
            Self::ReferenceCount(_) => "reference-count",
            Self::ReferenceUri(_) => "reference-uri",
            Self::Transform(_) => "transform",
            Self::DigestMethod(_) => "digest-method",
            Self::Object => "object",
            Self::Base64(_) => "base64",
            Self::KeyMissing => "key-missing",
            Self::KeyUnknown(_) => "key-unknown",
            Self::KeyInfo(_) => "key-info",
            Self::KeyUnsupported => "key-unsupported",
            Self::KeySize(bits) if *bits < 2048 => "key-too-small",
            Self::KeySize(_) => "key-too-large",
            Self::KeyMethod => "key-method",
            Self::XmlAttribute => "xml-attribute",
            Self::DigestMismatch => "digest-mismatch",
            Self::SignatureMismatch => "signature-mismatch",
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

/// A name from a document, short enough to be repeated.
pub(super) fn clipped(name: &str) -> String {
    const CHARS_MAX: usize = 120;
    name.chars().take(CHARS_MAX).collect()
}
