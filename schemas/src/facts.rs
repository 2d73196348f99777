//! What is true of a document's bytes, found out once.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::{Document, Span};
use crate::digest::Digest;
use crate::error::Refused;
use crate::limits::Limits;
use crate::names::Spelling;
use crate::signature::{Refusal, Verified, survey};
use crate::{read, text, wellformed};

/// A document that has passed encoding, well-formedness, limits and grammar. There is no other way to make one, so
/// who holds it need not look again. Clones share everything.
///
/// Its signatures have been verified: [`Validated::signatures`] says of each what it proves. A document is as good with
/// one that proves nothing as it is with none.
#[derive(Clone, Debug)]
pub struct Validated(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    bytes: Bytes,
    document: Document,
    digest: Digest,
    signatures: Vec<SignatureFact>,
}

/// A signature, and what it claims to cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFact {
    /// The `Signature` element.
    pub span: Span,
    /// The element that it claims to cover: its parent, or for a Header's signature the whole Message_Core (S18).
    pub covers: Span,
    /// What is known of it.
    pub state: SignatureState,
}

/// What a signature proves. Who may speak for whom is not decided here, and nothing here can be withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureState {
    /// It is its key's, over what [`Verified::covered`] says.
    Valid(Verified),
    /// It proves nothing, for this reason.
    Refused(Refusal),
    /// It names its key only, and the document does not carry that key. Whoever knows it can ask
    /// [`crate::signature::verify()`].
    KeyUnknown(String),
}

impl SignatureFact {
    /// What is verified, if it is valid.
    pub fn verified(&self) -> Option<&Verified> {
        match &self.state {
            SignatureState::Valid(verified) => Some(verified),
            SignatureState::Refused(_) | SignatureState::KeyUnknown(_) => None,
        }
    }

    /// Whether it is valid and covers this range: the range lies in its scope, and not in the Signature itself. Of an
    /// element in which the Signature stands, it covers all but itself.
    pub fn signs(&self, range: Span) -> bool {
        let within = self.covers.start <= range.start && range.start < range.end && range.end <= self.covers.end;
        let apart = range.end <= self.span.start || self.span.end <= range.start;
        let around = range.start < self.span.start && self.span.end < range.end;
        self.verified().is_some() && within && (apart || around)
    }
}

impl Validated {
    /// Takes a document as it came, in UTF-8 or UTF-16.
    ///
    /// # Errors
    /// The first fault that spoils the whole document. A fault of the grammar inside a nested part spoils that part
    /// only and is found in the document ([`crate::core::Part::Bad`]).
    pub fn new(bytes: Bytes, limits: &Limits) -> Result<Self, Refused> {
        let bytes = text::to_utf8(bytes, limits).map_err(|error| Refused {
            error,
            message_id: None,
            is_reply: false,
            spelling: Spelling::default(),
        })?;
        let document = read::document(&bytes, limits)?;
        let signatures = survey(&document, &bytes, limits);
        Ok(Self(Arc::new(Facts { digest: Digest::of(&bytes), bytes, document, signatures })))
    }

    /// The document in UTF-8, without a byte order mark.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.0.document
    }

    /// The digest of [`Validated::bytes`].
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Its signatures, outer before inner, those of bad parts and of opaque messages aside.
    pub fn signatures(&self) -> &[SignatureFact] {
        &self.0.signatures
    }

    /// The valid signatures that cover a range of the bytes, outer before inner. Use what is read from that very range.
    pub fn covering(&self, range: Span) -> impl Iterator<Item = &Verified> {
        self.0.signatures.iter().filter(move |fact| fact.signs(range)).filter_map(SignatureFact::verified)
    }

    /// A part of the bytes, shared. A span that is not of this document gives what of it there is.
    pub fn slice(&self, span: Span) -> Bytes {
        let end = span.end.min(self.0.bytes.len());
        self.0.bytes.slice(span.start.min(end)..end)
    }

    /// The line of a byte, counted from 1.
    pub fn line_of(&self, byte: usize) -> usize {
        wellformed::line_at(&self.0.bytes, byte)
    }
}
