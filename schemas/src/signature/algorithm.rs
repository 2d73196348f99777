//! The algorithms that a signature may name, and no others (S18): closed lists, and what each name stands for.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as lc, VerificationAlgorithm};

use super::canon::{Kind, Method};
use super::der;
use super::key::{KeyKind, PublicKey};
use super::refusal::{Refusal, clipped};

/// The transform that leaves the Signature itself out.
pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Namespace of `InclusiveNamespaces`, and the name of the canonicalisation.
pub(super) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE_10: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const INCLUSIVE_11: &str = "http://www.w3.org/2006/12/xml-c14n11";

impl Kind {
    /// The algorithm's name, without comments.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Inclusive10 => INCLUSIVE_10,
            Self::Inclusive11 => INCLUSIVE_11,
            Self::Exclusive => EXCLUSIVE,
        }
    }
}

impl Method {
    /// What a name stands for.
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let (name, comments) = match uri.strip_suffix("WithComments") {
            Some(name) => (name, true),
            None => (uri, false),
        };
        let kind = match (name.strip_suffix('#').filter(|_| comments).unwrap_or(name), comments) {
            (INCLUSIVE_10, _) => Kind::Inclusive10,
            (INCLUSIVE_11, _) => Kind::Inclusive11,
            (EXCLUSIVE, false) | ("http://www.w3.org/2001/10/xml-exc-c14n", true) => Kind::Exclusive,
            _ => return None,
        };
        Some(Self { comments, ..Self::new(kind) })
    }
}

/// The digests: SHA-2 from 256 bits on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestMethod {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestMethod {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The algorithm's name.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// [`Refusal::DigestMethod`] for every other name.
    pub fn of_uri(uri: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|method| method.uri() == uri);
        found.ok_or_else(|| Refusal::DigestMethod(clipped(uri)))
    }

    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// How a value is made of a key and SignedInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureMethod {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(DigestMethod),
    /// RSASSA-PSS with MGF1 of the same digest and a salt of its length (RFC 9231, 2.3.10).
    RsaPss(DigestMethod),
    /// ECDSA.
    Ecdsa(DigestMethod),
    /// EdDSA on edwards25519 (RFC 9231, 2.3.12).
    Ed25519,
}

impl SignatureMethod {
    /// The algorithm's name.
    pub fn uri(self) -> &'static str {
        use DigestMethod::{Sha256, Sha384, Sha512};
        match self {
            Self::RsaPkcs1(Sha256) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Self::RsaPkcs1(Sha384) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            Self::RsaPkcs1(Sha512) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            Self::RsaPss(Sha256) => "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
            Self::RsaPss(Sha384) => "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
            Self::RsaPss(Sha512) => "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
            Self::Ecdsa(Sha256) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Self::Ecdsa(Sha384) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            Self::Ecdsa(Sha512) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
            Self::Ed25519 => "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
        }
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// [`Refusal::SignatureMethod`] for every other name.
    pub fn of_uri(uri: &str) -> Result<Self, Refusal> {
        let of_digest = |digest| [Self::RsaPkcs1(digest), Self::RsaPss(digest), Self::Ecdsa(digest)];
        let mut all = DigestMethod::ALL.into_iter().flat_map(of_digest).chain([Self::Ed25519]);
        all.find(|method| method.uri() == uri).ok_or_else(|| Refusal::SignatureMethod(clipped(uri)))
    }

    /// Checks a value over a message.
    ///
    /// # Errors
    /// [`Refusal::KeyMethod`] if the key is none of this method, [`Refusal::SignatureMismatch`] if the value is not
    /// this key's over this message.
    pub fn verify(self, key: &PublicKey, message: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let algorithm = self.algorithm(key.kind()).ok_or(Refusal::KeyMethod)?;
        let value = match key.kind() {
            KeyKind::P256 | KeyKind::P384 => ecdsa_value(key.kind(), value).ok_or(Refusal::SignatureMismatch)?,
            KeyKind::Rsa | KeyKind::Ed25519 => value.to_vec(),
        };
        let key = lc::UnparsedPublicKey::new(algorithm, key.spki());
        key.verify(message, &value).map_err(|_| Refusal::SignatureMismatch)
    }

    fn algorithm(self, kind: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
        use DigestMethod::{Sha256, Sha384, Sha512};
        Some(match (self, kind) {
            (Self::RsaPkcs1(Sha256), KeyKind::Rsa) => &lc::RSA_PKCS1_2048_8192_SHA256,
            (Self::RsaPkcs1(Sha384), KeyKind::Rsa) => &lc::RSA_PKCS1_2048_8192_SHA384,
            (Self::RsaPkcs1(Sha512), KeyKind::Rsa) => &lc::RSA_PKCS1_2048_8192_SHA512,
            (Self::RsaPss(Sha256), KeyKind::Rsa) => &lc::RSA_PSS_2048_8192_SHA256,
            (Self::RsaPss(Sha384), KeyKind::Rsa) => &lc::RSA_PSS_2048_8192_SHA384,
            (Self::RsaPss(Sha512), KeyKind::Rsa) => &lc::RSA_PSS_2048_8192_SHA512,
            (Self::Ecdsa(Sha256), KeyKind::P256) => &lc::ECDSA_P256_SHA256_ASN1,
            (Self::Ecdsa(Sha384), KeyKind::P256) => &lc::ECDSA_P256_SHA384_ASN1,
            (Self::Ecdsa(Sha512), KeyKind::P256) => &lc::ECDSA_P256_SHA512_ASN1,
            (Self::Ecdsa(Sha256), KeyKind::P384) => &lc::ECDSA_P384_SHA256_ASN1,
            (Self::Ecdsa(Sha384), KeyKind::P384) => &lc::ECDSA_P384_SHA384_ASN1,
            (Self::Ecdsa(Sha512), KeyKind::P384) => &lc::ECDSA_P384_SHA512_ASN1,
            (Self::Ed25519, KeyKind::Ed25519) => &lc::ED25519,
            _ => return None,
        })
    }
}

/// XML Signature has r and s side by side (RFC 9231, 2.3.6). The library takes that form for one digest a curve only,
/// and the ASN.1 form for all.
fn ecdsa_value(kind: KeyKind, value: &[u8]) -> Option<Vec<u8>> {
    let half = if kind == KeyKind::P256 { 32 } else { 48 };
    if value.len() != 2 * half {
        return None;
    }
    let (r, s) = value.split_at(half);
    Some(der::element(der::SEQUENCE, &[&der::unsigned(r), &der::unsigned(s)]))
}
