//! All signatures of a document, verified in one walk over it.

use super::places::Places;
use super::slots::{self, Slot};
use super::{Refusal, verify::verify_at};
use crate::core::{Document, Span};
use crate::facts::{SignatureFact, SignatureState};
use crate::limits::Limits;

/// What is known of each signature of a document in UTF-8, outer before inner.
///
/// Where one limit or another is passed, what comes behind in the document is refused: it proves nothing.
pub(crate) fn survey(document: &Document, utf8: &[u8], limits: &Limits) -> Vec<SignatureFact> {
    let found = slots::of(document).into_iter().filter_map(|slot| slot.signature.map(|signature| (slot, signature)));
    let found: Vec<(Slot, Span)> = found.collect();
    let mut facts: Vec<Option<SignatureFact>> = vec![None; found.len()];
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_unstable_by_key(|index| found[*index].1.start);
    // A document that is not UTF-8 has not been read.
    let mut survey = Survey::new(std::str::from_utf8(utf8).unwrap_or_default(), limits);
    for index in order {
        let (Slot { scope, .. }, signature) = found[index];
        let state = survey.state(scope, signature);
        facts[index] = Some(SignatureFact { span: signature, covers: scope, state });
    }
    facts.into_iter().flatten().collect()
}

struct Survey<'a, 'l> {
    places: Places<'a, 'l>,
    limits: &'l Limits,
    signatures: usize,
    /// Bytes of all scopes so far, and how many they may be.
    signed_bytes: usize,
    signed_bytes_max: usize,
}

impl<'a, 'l> Survey<'a, 'l> {
    fn new(text: &'a str, limits: &'l Limits) -> Self {
        let signed_bytes_max = limits.signature_passes.saturating_mul(text.len());
        Self { places: Places::new(text, limits), limits, signatures: 0, signed_bytes: 0, signed_bytes_max }
    }

    fn state(&mut self, scope: Span, signature: Span) -> SignatureState {
        match self.verify(scope, signature) {
            Ok(verified) => SignatureState::Valid(verified),
            Err(Refusal::KeyUnknown(name)) => SignatureState::KeyUnknown(name),
            Err(refusal) => SignatureState::Refused(refusal),
        }
    }

    fn verify(&mut self, scope: Span, signature: Span) -> Result<super::Verified, Refusal> {
        self.count(scope)?;
        verify_at(&self.places.go_to(signature, scope)?, &|_| None)
    }

    /// Signatures around each other read the same bytes again and again; how often is bounded.
    fn count(&mut self, scope: Span) -> Result<(), Refusal> {
        self.signatures += 1;
        self.signed_bytes = self.signed_bytes.saturating_add(scope.end.saturating_sub(scope.start));
        if self.signatures > self.limits.signatures {
            return Err(Refusal::Limit { name: "signatures", limit: self.limits.signatures });
        }
        if self.signed_bytes > self.signed_bytes_max {
            return Err(Refusal::Limit { name: "signature_passes", limit: self.limits.signature_passes });
        }
        Ok(())
    }
}
