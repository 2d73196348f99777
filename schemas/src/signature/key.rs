//! Public keys, in whatever form they come, and the one name that each has.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use super::{Refusal, der, pem};
use der::Der;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The name of a key: SHA-256 of its SubjectPublicKeyInfo in DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// Reads the hexadecimal text that it is shown as.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != id.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(pairs) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 to 8192 bits.
    Rsa,
    /// The curve P-256.
    P256,
    /// The curve P-384.
    P384,
    /// The curve edwards25519.
    Ed25519,
}

/// A public key of an accepted kind and size. The same key is equal in whatever form it came.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.fingerprint())
    }
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo in DER (RFC 5280, 4.1).
    ///
    /// # Errors
    /// [`Refusal::KeyUnsupported`], [`Refusal::KeySize`], or [`Refusal::KeyInfo`] if it is nothing of the kind.
    pub fn from_spki(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::KeyInfo("no SubjectPublicKeyInfo");
        let (algorithm, parameters, bits) = read_spki(bytes).ok_or_else(malformed)?;
        match Self::kind_named(algorithm, parameters).ok_or(Refusal::KeyUnsupported)? {
            KeyKind::Rsa => Self::from_pkcs1(bits),
            KeyKind::P256 | KeyKind::P384 => Self::from_curve(parameters.map_or(&[], |(_, curve)| curve), bits),
            KeyKind::Ed25519 => Self::from_ed25519(bits),
        }
    }

    /// The kind with this algorithm and these parameters: tags and contents as they stand in DER.
    pub(super) fn kind_named(algorithm: &[u8], parameters: Option<(u8, &[u8])>) -> Option<KeyKind> {
        match (algorithm, parameters) {
            (RSA, None | Some((der::NULL, []))) => Some(KeyKind::Rsa),
            (EC, Some((der::OID, P256))) => Some(KeyKind::P256),
            (EC, Some((der::OID, P384))) => Some(KeyKind::P384),
            (ED25519, None) => Some(KeyKind::Ed25519),
            _ => None,
        }
    }

    /// From an RSAPublicKey in DER (RFC 8017, A.1.1).
    pub(super) fn from_pkcs1(bytes: &[u8]) -> Result<Self, Refusal> {
        let (modulus, exponent) = read_rsa(bytes).ok_or(Refusal::KeyInfo("no RSAPublicKey"))?;
        Self::from_rsa(modulus, exponent)
    }

    /// From the 32 bytes of an Ed25519 key.
    pub(super) fn from_ed25519(bytes: &[u8]) -> Result<Self, Refusal> {
        match bytes.len() {
            32 => Ok(Self::new(KeyKind::Ed25519, &[ED25519], &[], bytes)),
            _ => Err(Refusal::KeyInfo("no Ed25519 key")),
        }
    }

    /// From an uncompressed point, whose length tells the curve.
    pub(super) fn from_point(point: &[u8]) -> Result<Self, Refusal> {
        Self::from_curve(if point.len() == 65 { P256 } else { P384 }, point)
    }

    /// From PEM: a public key or a certificate.
    ///
    /// # Errors
    /// As [`PublicKey::from_spki`].
    pub fn from_pem(text: &str) -> Result<Self, Refusal> {
        match pem::first(text) {
            Some(("PUBLIC KEY", bytes)) => Self::from_spki(&bytes),
            Some(("CERTIFICATE", bytes)) => Self::from_certificate(&bytes),
            _ => Err(Refusal::KeyInfo("neither a public key nor a certificate in PEM")),
        }
    }

    /// From an X.509 certificate in DER. Whether the certificate is good is not looked at here.
    ///
    /// # Errors
    /// As [`PublicKey::from_spki`].
    pub fn from_certificate(bytes: &[u8]) -> Result<Self, Refusal> {
        let spki = spki_of_certificate(bytes).ok_or(Refusal::KeyInfo("no certificate"))?;
        Self::from_spki(&spki)
    }

    /// From the numbers of an RSA key, big-endian.
    pub(super) fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Refusal> {
        const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
        let (modulus, exponent) = (der::without_zeros(modulus), der::without_zeros(exponent));
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        if !BITS.contains(&bits) {
            return Err(Refusal::KeySize(bits));
        }
        let key = der::element(der::SEQUENCE, &[&der::unsigned(modulus), &der::unsigned(exponent)]);
        Ok(Self::new(KeyKind::Rsa, &[RSA], &der::element(der::NULL, &[]), &key))
    }

    /// From an uncompressed point of a curve, which is named by the content of its object identifier.
    pub(super) fn from_curve(curve: &[u8], point: &[u8]) -> Result<Self, Refusal> {
        let (kind, coordinate) = match curve {
            P256 => (KeyKind::P256, 32),
            P384 => (KeyKind::P384, 48),
            _ => return Err(Refusal::KeyUnsupported),
        };
        if point.len() != 1 + 2 * coordinate || point.first() != Some(&4) {
            return Err(Refusal::KeyInfo("no uncompressed point of its curve"));
        }
        Ok(Self::new(kind, &[EC], &der::element(der::OID, &[curve]), point))
    }

    /// The same for a curve named as `urn:oid:…`.
    pub(super) fn from_named_curve(urn: &str, point: &[u8]) -> Result<Self, Refusal> {
        let curve = match urn {
            "urn:oid:1.2.840.10045.3.1.7" => P256,
            "urn:oid:1.3.132.0.34" => P384,
            _ => return Err(Refusal::KeyUnsupported),
        };
        Self::from_curve(curve, point)
    }

    fn new(kind: KeyKind, algorithm: &[&[u8]], parameters: &[u8], bits: &[u8]) -> Self {
        let algorithm = der::element(der::SEQUENCE, &[&der::element(der::OID, algorithm), parameters]);
        let spki = der::element(der::SEQUENCE, &[&algorithm, &der::element(der::BIT_STRING, &[&[0], bits])]);
        Self { kind, spki }
    }

    /// Of which kind it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// As a SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki)
    }

    /// The name by which trust and records know it.
    pub fn fingerprint(&self) -> KeyId {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, &self.spki).as_ref());
        KeyId(id)
    }

    /// Modulus and exponent of an RSA key.
    pub(super) fn rsa(&self) -> Option<(&[u8], &[u8])> {
        let (_, _, bits) = read_spki(&self.spki).filter(|_| self.kind == KeyKind::Rsa)?;
        read_rsa(bits)
    }

    /// Name of the curve as `urn:oid:…` and point of an ECDSA key.
    pub(super) fn curve(&self) -> Option<(&'static str, &[u8])> {
        let urn = match self.kind {
            KeyKind::P256 => "urn:oid:1.2.840.10045.3.1.7",
            KeyKind::P384 => "urn:oid:1.3.132.0.34",
            KeyKind::Rsa | KeyKind::Ed25519 => return None,
        };
        read_spki(&self.spki).map(|(_, _, point)| (urn, point))
    }
}

/// Algorithm, its parameters, and the key.
type Spki<'a> = (&'a [u8], Option<(u8, &'a [u8])>, &'a [u8]);

fn read_spki(bytes: &[u8]) -> Option<Spki<'_>> {
    let mut outer = Der(bytes);
    let mut spki = outer.enter(der::SEQUENCE)?;
    outer.end()?;
    let mut algorithm = spki.enter(der::SEQUENCE)?;
    let name = algorithm.take(der::OID)?;
    let parameters = if algorithm.end().is_some() { None } else { Some(algorithm.any()?) };
    algorithm.end()?;
    let [0, key @ ..] = spki.take(der::BIT_STRING)? else { return None };
    spki.end()?;
    Some((name, parameters, key))
}

fn read_rsa(bits: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Der(bits);
    let mut key = outer.enter(der::SEQUENCE)?;
    outer.end()?;
    let numbers = (key.unsigned()?, key.unsigned()?);
    key.end()?;
    Some(numbers)
}

fn spki_of_certificate(bytes: &[u8]) -> Option<Vec<u8>> {
    /// The version, which only version 1 leaves out.
    const VERSION: u8 = 0xa0;
    let mut outer = Der(bytes);
    let mut body = outer.enter(der::SEQUENCE)?.enter(der::SEQUENCE)?;
    outer.end()?;
    if body.0.first() == Some(&VERSION) {
        body.take(VERSION)?;
    }
    body.take(der::INTEGER)?;
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        body.take(der::SEQUENCE)?;
    }
    Some(der::element(der::SEQUENCE, &[body.take(der::SEQUENCE)?]))
}
