//! `KeyInfo`: which key, by value, by certificate or by name.

use super::key::PublicKey;
use super::refusal::{Refusal, clipped};
use super::tree::{Node, Space};

/// What a Signature says of its key. A key that comes with it proves nothing about who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyHint {
    /// The key itself, and the certificates that came with it, the signer's first.
    Inline { key: PublicKey, certificates: Vec<Vec<u8>> },
    /// A name only.
    Name(String),
}

/// Reads a KeyInfo. Keys given in several ways must be one and the same.
pub(super) fn read(node: &Node<'_>) -> Result<KeyHint, Refusal> {
    let (mut name, mut key, mut certificates) = (None, None, Vec::new());
    for child in node.children()? {
        match (child.space, child.local) {
            (Space::Dsig, "KeyName") => name = name.or(Some(clipped(child.text()?.trim()))),
            (Space::Dsig, "KeyValue") => agree(&mut key, key_value(child)?)?,
            (Space::Dsig11, "DEREncodedKeyValue") => agree(&mut key, PublicKey::from_spki(&child.bytes("a key")?)?)?,
            (Space::Dsig, "X509Data") => certificates.extend(x509_data(child)?),
            _ => return Err(Refusal::KeyInfo("a way to name a key that is not followed")),
        }
    }
    if let Some(first) = certificates.first() {
        agree(&mut key, PublicKey::from_certificate(first)?)?;
    }
    match (key, name) {
        (Some(key), _) => Ok(KeyHint::Inline { key, certificates }),
        (None, Some(name)) => Ok(KeyHint::Name(name)),
        (None, None) => Err(Refusal::KeyMissing),
    }
}

fn agree(key: &mut Option<PublicKey>, found: PublicKey) -> Result<(), Refusal> {
    match key {
        Some(known) if *known != found => Err(Refusal::KeyInfo("two different keys")),
        _ => {
            *key = Some(found);
            Ok(())
        }
    }
}

fn key_value(node: &Node<'_>) -> Result<PublicKey, Refusal> {
    match node.children()? {
        [rsa] if rsa.is(Space::Dsig, "RSAKeyValue") => rsa_key_value(rsa),
        [ec] if ec.is(Space::Dsig11, "ECKeyValue") => ec_key_value(ec),
        _ => Err(Refusal::KeyUnsupported),
    }
}

fn rsa_key_value(node: &Node<'_>) -> Result<PublicKey, Refusal> {
    match node.children()? {
        [modulus, exponent] if modulus.is(Space::Dsig, "Modulus") && exponent.is(Space::Dsig, "Exponent") => {
            PublicKey::from_rsa(&modulus.bytes("a key")?, &exponent.bytes("a key")?)
        }
        _ => Err(Refusal::KeyInfo("an RSAKeyValue without Modulus and Exponent")),
    }
}

fn ec_key_value(node: &Node<'_>) -> Result<PublicKey, Refusal> {
    match node.children()? {
        [curve, point] if curve.is(Space::Dsig11, "NamedCurve") && point.is(Space::Dsig11, "PublicKey") => {
            PublicKey::from_named_curve(curve.attribute("URI")?, &point.bytes("a key")?)
        }
        _ => Err(Refusal::KeyInfo("an ECKeyValue without NamedCurve and PublicKey")),
    }
}

/// The certificates; what else describes them is not needed where they are.
fn x509_data(node: &Node<'_>) -> Result<Vec<Vec<u8>>, Refusal> {
    let certificates = node.children()?.iter().filter(|child| child.is(Space::Dsig, "X509Certificate"));
    certificates.map(|certificate| certificate.bytes("a certificate")).collect()
}
