//! Whether a Signature is its key's over its scope, and what exactly it covers.

use aws_lc_rs::digest;
use bytes::Bytes;

use super::canon::{self, Element, Method};
use super::key::{KeyId, PublicKey};
use super::key_info::KeyHint;
use super::places::{Place, Places};
use super::profile::{self, Signed};
use super::tree::Node;
use super::{DigestMethod, Refusal};
use crate::core::Span;
use crate::limits::Limits;

/// A Signature that is what it says. It says which key made it, and not whether that key may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key.
    pub key: KeyId,
    /// The certificates as they came with the Signature, the signer's first: nobody has looked at them.
    pub certificates: Vec<Bytes>,
    /// The bytes of the document that are covered: the scope without the Signature itself. Comments in them are not.
    pub covered: [Span; 2],
}

/// Verifies the Signature of a scope in a document in UTF-8. A key that is named only is asked of `named`.
///
/// # Errors
/// Why it proves nothing.
pub fn verify(
    document: &str,
    scope: Span,
    signature: Span,
    named: &dyn Fn(&str) -> Option<PublicKey>,
    limits: &Limits,
) -> Result<Verified, Refusal> {
    let mut places = Places::new(document, limits);
    verify_at(&places.go_to(signature, scope)?, named)
}

/// The same where reading has come to the Signature.
pub(super) fn verify_at(place: &Place<'_, '_>, named: &dyn Fn(&str) -> Option<PublicKey>) -> Result<Verified, Refusal> {
    let node = Node::read(place.text, place.signature, place.around_signature(), place.limits)?;
    let signed = profile::read(&node)?;
    let (key, certificates) = match &signed.key {
        KeyHint::Inline { key, certificates } => (key.clone(), certificates.as_slice()),
        KeyHint::Name(name) => (named(name).ok_or_else(|| Refusal::KeyUnknown(name.clone()))?, [].as_slice()),
    };
    // The cheap check first: a value that is not this key's is not worth reading the scope for.
    signed.method.verify(&key, &signed_info(place, &signed)?, &signed.value)?;
    let reference = &signed.reference;
    if digest_of_scope(place, &reference.canonicalization, reference.digest)?.as_ref() != reference.value {
        return Err(Refusal::DigestMismatch);
    }
    let (scope, own) = (place.scope, place.signature);
    Ok(Verified {
        key: key.fingerprint(),
        certificates: certificates.iter().cloned().map(Bytes::from).collect(),
        covered: [Span { start: scope.start, end: own.start }, Span { start: own.end, end: scope.end }],
    })
}

/// The canonical form of SignedInfo: what the key has signed.
pub(super) fn signed_info(place: &Place<'_, '_>, signed: &Signed) -> Result<Vec<u8>, Refusal> {
    let method = &signed.canonicalization;
    if method.kind != canon::Kind::Exclusive && place.has_xml {
        return Err(Refusal::XmlAttribute);
    }
    let context = place.around_signed_info(method);
    let element = Element {
        text: place.text,
        apex: signed.signed_info,
        context: &context,
        without: None,
        types_are_bound: false,
    };
    let mut form = Vec::new();
    canon::element(&element, method, place.limits, |piece| form.extend_from_slice(piece))?;
    Ok(form)
}

/// The digest of the canonical form of the scope without the Signature.
pub(super) fn digest_of_scope(
    place: &Place<'_, '_>,
    method: &Method,
    digest: DigestMethod,
) -> Result<digest::Digest, Refusal> {
    let context = place.around_scope(method);
    let element = Element {
        text: place.text,
        apex: place.scope,
        context: &context,
        without: Some(place.signature),
        types_are_bound: true,
    };
    let mut digest = digest::Context::new(digest.algorithm());
    canon::element(&element, method, place.limits, |piece| digest.update(piece))?;
    Ok(digest.finish())
}
