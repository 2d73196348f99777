//! The closed profile (S18): one Reference to the scope itself, enveloped-signature and one canonicalisation, an
//! accepted digest, an accepted method, one key; nothing else.

use super::algorithm::{DigestMethod, ENVELOPED, SignatureMethod};
use super::canon::Method;
use super::key_info::{self, KeyHint};
use super::refusal::{Refusal, clipped};
use super::tree::{Node, Space};
use crate::core::Span;

/// What a Signature says.
#[derive(Debug)]
pub(super) struct Signed {
    /// `SignedInfo`.
    pub(super) signed_info: Span,
    /// How SignedInfo is canonicalised.
    pub(super) canonicalization: Method,
    /// How the value was made.
    pub(super) method: SignatureMethod,
    /// The value.
    pub(super) value: Vec<u8>,
    /// What is signed.
    pub(super) reference: Reference,
    /// With which key.
    pub(super) key: KeyHint,
}

/// The Reference.
#[derive(Debug)]
pub(super) struct Reference {
    /// How the scope is canonicalised.
    pub(super) canonicalization: Method,
    /// Which digest.
    pub(super) digest: DigestMethod,
    /// Its value.
    pub(super) value: Vec<u8>,
}

/// Reads a Signature, from the inside out: what is signed, the value, the key.
pub(super) fn read(signature: &Node<'_>) -> Result<Signed, Refusal> {
    let mut children = signature.children()?.iter();
    let signed_info = next(&mut children, "SignedInfo")?;
    let (canonicalization, method, reference) = read_signed_info(signed_info)?;
    let value = next(&mut children, "SignatureValue")?.bytes("SignatureValue")?;
    let key = match children.next() {
        None => return Err(Refusal::KeyMissing),
        Some(object) if object.is(Space::Dsig, "Object") => return Err(Refusal::Object),
        Some(info) if info.is(Space::Dsig, "KeyInfo") => key_info::read(info)?,
        Some(_) => return Err(Refusal::Structure("an element in place of KeyInfo")),
    };
    match children.next() {
        None => Ok(Signed { signed_info: signed_info.span, canonicalization, method, value, reference, key }),
        Some(object) if object.is(Space::Dsig, "Object") => Err(Refusal::Object),
        Some(_) => Err(Refusal::Structure("an element after KeyInfo")),
    }
}

fn next<'n, 'a>(children: &mut std::slice::Iter<'n, Node<'a>>, name: &str) -> Result<&'n Node<'a>, Refusal> {
    let found = children.next().filter(|node| node.is(Space::Dsig, name));
    found.ok_or(Refusal::Structure("SignedInfo, SignatureValue and what they hold, in this order"))
}

fn read_signed_info(node: &Node<'_>) -> Result<(Method, SignatureMethod, Reference), Refusal> {
    let mut children = node.children()?.iter();
    let method = next(&mut children, "CanonicalizationMethod")?;
    let refused = || Refusal::CanonicalizationMethod(clipped(method.attribute("Algorithm").unwrap_or_default()));
    let canonicalization = method.canonicalization()?.ok_or_else(refused)?;
    let method = next(&mut children, "SignatureMethod")?;
    let method = SignatureMethod::of_uri(method.attribute("Algorithm")?).and_then(|known| {
        method.algorithm()?;
        Ok(known)
    })?;
    match children.as_slice() {
        [reference] if reference.is(Space::Dsig, "Reference") => {
            Ok((canonicalization, method, read_reference(reference)?))
        }
        references => Err(Refusal::ReferenceCount(references.len())),
    }
}

pub(super) fn read_reference(node: &Node<'_>) -> Result<Reference, Refusal> {
    let uri = node.any_attribute("URI").ok_or(Refusal::ReferenceUri(String::new()))?;
    if !uri.is_empty() {
        return Err(Refusal::ReferenceUri(clipped(uri)));
    }
    node.attribute("URI")?;
    let mut children = node.children()?.iter();
    let canonicalization = match children.as_slice().first() {
        Some(transforms) if transforms.is(Space::Dsig, "Transforms") => read_transforms(transforms)?,
        _ => return Err(Refusal::Transform("none at all".to_owned())),
    };
    children.next();
    let digest = DigestMethod::of_uri(next(&mut children, "DigestMethod")?.algorithm()?)?;
    let value = next(&mut children, "DigestValue")?.bytes("DigestValue")?;
    match children.next() {
        None => Ok(Reference { canonicalization, digest, value }),
        Some(_) => Err(Refusal::Structure("an element after DigestValue")),
    }
}

fn read_transforms(node: &Node<'_>) -> Result<Method, Refusal> {
    let [enveloped, canonicalization] = node.children()? else {
        return Err(Refusal::Transform(format!("{} of them", node.children()?.len())));
    };
    let name = |node: &Node<'_>| clipped(node.any_attribute("Algorithm").unwrap_or_default());
    let are_transforms = [enveloped, canonicalization].iter().all(|node| node.is(Space::Dsig, "Transform"));
    if !are_transforms || name(enveloped) != ENVELOPED {
        return Err(Refusal::Transform(name(enveloped)));
    }
    enveloped.algorithm()?;
    // A reference to a whole document selects no comments (XML Signature, 4.4.3.2), so that a form with comments would
    // say that it covers what it does not.
    let known = canonicalization.any_attribute("Algorithm").and_then(Method::of_uri).filter(|known| !known.comments);
    let method = known.and(canonicalization.canonicalization()?);
    method.ok_or_else(|| Refusal::Transform(name(canonicalization)))
}
