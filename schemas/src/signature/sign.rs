//! Signs an element of a document: one Signature is put in, and no other byte is touched.

use std::ops::Range;

use super::canon::{Kind, Method};
use super::draft::Draft;
use super::places::{Place, Places};
use super::private::{PrivateKey, PrivateKeyError};
use super::slots::{self, Slot};
use super::tree::Node;
use super::verify::{digest_of_scope, signed_info};
use super::{DigestMethod, PublicKey, Refusal, SignatureMethod, prefixes, profile};
use crate::base64;
use crate::core::Span;
use crate::error::Refused;
use crate::facts::{SignatureState, Validated};
use crate::limits::Limits;

/// How to sign. The default is exclusive canonicalisation, SHA-256, and the usual method of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// How the scope is canonicalised.
    pub canonicalization: Kind,
    /// The digest of the scope.
    pub digest: DigestMethod,
    /// Another method than [`PrivateKey::usual_method`].
    pub method: Option<SignatureMethod>,
    /// Certificates in DER to go along instead of the bare key, the signer's first.
    pub certificates: &'a [Vec<u8>],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { canonicalization: Kind::Exclusive, digest: DigestMethod::default(), method: None, certificates: &[] }
    }
}

/// Why an element cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The schemas have no place for a Signature there.
    #[error("no element that the schemas allow to be signed")]
    NoPlace,
    /// There is a Signature already.
    #[error("signed already")]
    Signed,
    /// A valid signature around it would no longer be: inner elements are signed before outer ones.
    #[error("a signature around it would be broken; sign inner elements first")]
    Covered,
    /// An empty-element tag, which would have to be written anew to hold a Signature.
    #[error("an empty element cannot be signed as it stands")]
    Empty,
    /// The first certificate is not the key's.
    #[error("the first certificate is of another key")]
    Certificate,
    /// The key does not make the value.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    /// The scope has no canonical form.
    #[error("cannot be signed: {0}")]
    Form(#[from] Refusal),
    /// With the Signature the document would no longer be accepted, such as with a Header out of order.
    #[error("with a Signature: {0}")]
    Document(Box<Refused>),
}

/// Signs an element: a `Message_Core` or `Message_Core_Reply` (in its Header), a message, a reply, a Version_Info, an
/// Info or a Container. Gives the document with the Signature, validated again.
///
/// # Errors
/// Why it cannot be; then nothing is signed.
pub fn sign(
    document: &Validated,
    scope: Span,
    key: &PrivateKey,
    options: &Options<'_>,
    limits: &Limits,
) -> Result<Validated, SignError> {
    let slot = slot(document, scope)?;
    let text = std::str::from_utf8(document.bytes()).map_err(|_| SignError::NoPlace)?;
    let at = insertion(text, slot.parent)?;
    let method = options.method.unwrap_or_else(|| key.usual_method());
    check_certificates(key.public(), options.certificates)?;
    let types = match options.canonicalization {
        Kind::Exclusive => prefixes::of_types(text, scope, limits)?,
        Kind::Inclusive10 | Kind::Inclusive11 => String::new(),
    };
    let spelling = document.document().spelling;
    let draft = Draft { place: slot.place, spelling, key: key.public(), options, method, types: &types };
    let mut signing = Signing::new(text, scope, at, &draft.text("", ""), limits);
    let digest = base64::encode(signing.digest(&draft)?.as_ref());
    signing.replace(&draft.text(&digest, ""));
    let value = key.sign(method, &signing.signed_info()?)?;
    signing.replace(&draft.text(&digest, &base64::encode(&value)));
    signing.finish()
}

fn slot(document: &Validated, scope: Span) -> Result<Slot, SignError> {
    let slot = slots::of(document.document()).into_iter().find(|slot| slot.scope == scope).ok_or(SignError::NoPlace)?;
    if slot.signature.is_some() {
        return Err(SignError::Signed);
    }
    if document.covering(slot.parent).next().is_some() {
        return Err(SignError::Covered);
    }
    Ok(slot)
}

/// Before the end tag of the Signature's parent, where every schema has it.
fn insertion(text: &str, parent: Span) -> Result<usize, SignError> {
    let element = &text[parent.range()];
    if element.ends_with("/>") {
        return Err(SignError::Empty);
    }
    element.rfind("</").map(|at| parent.start + at).ok_or(SignError::NoPlace)
}

fn check_certificates(key: &PublicKey, certificates: &[Vec<u8>]) -> Result<(), SignError> {
    match certificates.first().map(|first| PublicKey::from_certificate(first)) {
        Some(Ok(certified)) if certified != *key => Err(SignError::Certificate),
        Some(Err(refusal)) => Err(SignError::Form(refusal)),
        _ => Ok(()),
    }
}

/// A document whose Signature is being made.
struct Signing<'l> {
    text: String,
    /// The element without its Signature.
    scope: Span,
    signature: Range<usize>,
    limits: &'l Limits,
}

impl<'l> Signing<'l> {
    fn new(text: &str, scope: Span, at: usize, signature: &str, limits: &'l Limits) -> Self {
        // The digest, the value and their growth in base64.
        const MORE: usize = 2048;
        let mut signed = String::with_capacity(text.len() + signature.len() + MORE);
        signed.push_str(&text[..at]);
        signed.push_str(signature);
        signed.push_str(&text[at..]);
        Self { text: signed, scope, signature: at..at + signature.len(), limits }
    }

    fn replace(&mut self, signature: &str) {
        self.text.replace_range(self.signature.clone(), signature);
        self.signature.end = self.signature.start + signature.len();
    }

    /// The scope as it is with the Signature.
    fn grown(&self) -> Span {
        Span { start: self.scope.start, end: self.scope.end + self.signature.len() }
    }

    fn span(&self) -> Span {
        Span { start: self.signature.start, end: self.signature.end }
    }

    fn with_place<T>(&self, work: impl FnOnce(&Place<'_, '_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut places = Places::new(&self.text, self.limits);
        work(&places.go_to(self.span(), self.grown())?)
    }

    fn digest(&self, draft: &Draft<'_>) -> Result<aws_lc_rs::digest::Digest, Refusal> {
        let method = Method::new(draft.options.canonicalization).with_prefixes(draft.types);
        self.with_place(|place| digest_of_scope(place, &method, draft.options.digest))
    }

    fn signed_info(&self) -> Result<Vec<u8>, Refusal> {
        self.with_place(|place| {
            let node = Node::read(place.text, place.signature, place.around_signature(), place.limits)?;
            signed_info(place, &profile::read(&node)?)
        })
    }

    /// Reads it all again as a receiver would, so that nothing leaves that would not be accepted.
    fn finish(self) -> Result<Validated, SignError> {
        let (span, limits) = (self.span(), self.limits);
        let signed =
            Validated::new(self.text.into(), limits).map_err(|refused| SignError::Document(Box::new(refused)))?;
        match signed.signatures().iter().find(|fact| fact.span == span).map(|fact| &fact.state) {
            Some(SignatureState::Valid(_)) => Ok(signed),
            Some(SignatureState::Refused(refusal)) => Err(SignError::Form(refusal.clone())),
            Some(SignatureState::KeyUnknown(_)) | None => Err(SignError::NoPlace),
        }
    }
}
