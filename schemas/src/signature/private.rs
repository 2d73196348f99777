//! Private keys: PKCS#8, and values made with them.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};

use super::der::{self, Der};
use super::{DigestMethod, KeyKind, PublicKey, SignatureMethod, pem};

/// Why a private key cannot be read, made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// No `PRIVATE KEY` block.
    #[error("no unencrypted PKCS#8 private key in PEM")]
    NotPem,
    /// No key of an accepted kind and size, or one that contradicts itself.
    #[error("no RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key")]
    NotAccepted,
    /// The key makes no values by this method.
    #[error("the key does not sign by this method")]
    Method,
    /// The library could not do it.
    #[error("the cryptographic library failed")]
    Failed,
}

/// A key that signs. It is shown by its public part only.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.public)
    }
}

impl PrivateKey {
    /// From PKCS#8 in PEM, not encrypted.
    ///
    /// # Errors
    /// If it is none, or of no accepted kind.
    pub fn from_pem(text: &str) -> Result<Self, PrivateKeyError> {
        match pem::first(text) {
            Some(("PRIVATE KEY", bytes)) => Self::from_pkcs8(&bytes),
            _ => Err(PrivateKeyError::NotPem),
        }
    }

    /// From PKCS#8 in DER.
    ///
    /// # Errors
    /// If it is none, or of no accepted kind.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, PrivateKeyError> {
        let rejected = |_| PrivateKeyError::NotAccepted;
        let pair = match kind_of(bytes).ok_or(PrivateKeyError::NotAccepted)? {
            KeyKind::Rsa => Pair::Rsa(RsaKeyPair::from_pkcs8(bytes).map_err(rejected)?),
            KeyKind::P256 => ecdsa(&lc::ECDSA_P256_SHA256_FIXED_SIGNING, bytes)?,
            KeyKind::P384 => ecdsa(&lc::ECDSA_P384_SHA384_FIXED_SIGNING, bytes)?,
            KeyKind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(bytes).map_err(rejected)?),
        };
        Self::of(pair)
    }

    /// A new key; RSA of 2048 bits. The library draws it.
    ///
    /// # Errors
    /// If the library fails.
    pub fn generate(kind: KeyKind) -> Result<Self, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed;
        let curve = |algorithm| EcdsaKeyPair::generate(algorithm).map(Pair::Ecdsa);
        Self::of(match kind {
            KeyKind::Rsa => return Self::generate_rsa(2048),
            KeyKind::P256 => curve(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?,
            KeyKind::P384 => curve(&lc::ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?,
            KeyKind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
        })
    }

    /// A new RSA key of 2048, 3072 or 4096 bits, which takes up to some seconds.
    ///
    /// # Errors
    /// Another size, or the library fails.
    pub fn generate_rsa(bits: usize) -> Result<Self, PrivateKeyError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(PrivateKeyError::NotAccepted),
        };
        Self::of(Pair::Rsa(RsaKeyPair::generate(size).map_err(|_| PrivateKeyError::Failed)?))
    }

    fn of(pair: Pair) -> Result<Self, PrivateKeyError> {
        let public = match &pair {
            Pair::Rsa(pair) => PublicKey::from_pkcs1(pair.public_key().as_ref()),
            Pair::Ecdsa(pair) => PublicKey::from_point(pair.public_key().as_ref()),
            Pair::Ed25519(pair) => PublicKey::from_ed25519(pair.public_key().as_ref()),
        };
        Ok(Self { public: public.map_err(|_| PrivateKeyError::NotAccepted)?, pair })
    }

    /// As PKCS#8 in PEM, not encrypted.
    ///
    /// # Errors
    /// If the library fails.
    pub fn to_pem(&self) -> Result<String, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed;
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let bytes: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                pem::encode("PRIVATE KEY", bytes.as_ref())
            }
            Pair::Ecdsa(pair) => pem::encode("PRIVATE KEY", pair.to_pkcs8v1().map_err(failed)?.as_ref()),
            Pair::Ed25519(pair) => pem::encode("PRIVATE KEY", pair.to_pkcs8v1().map_err(failed)?.as_ref()),
        })
    }

    /// The key that verifies.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The method that goes with the key where nobody asks for another.
    pub fn usual_method(&self) -> SignatureMethod {
        match self.public.kind() {
            KeyKind::Rsa => SignatureMethod::RsaPkcs1(DigestMethod::Sha256),
            KeyKind::P256 => SignatureMethod::Ecdsa(DigestMethod::Sha256),
            KeyKind::P384 => SignatureMethod::Ecdsa(DigestMethod::Sha384),
            KeyKind::Ed25519 => SignatureMethod::Ed25519,
        }
    }

    /// The value of a message, as SignatureValue has it. With ECDSA, each curve goes with its usual digest only.
    ///
    /// # Errors
    /// If the method is not the key's, or the library fails.
    pub fn sign(&self, method: SignatureMethod, message: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed;
        match (&self.pair, method) {
            (Pair::Rsa(pair), method) => {
                let mut value = vec![0; pair.public_modulus_len()];
                let padding = padding(method).ok_or(PrivateKeyError::Method)?;
                // The library takes what is random from itself, whatever it is given.
                pair.sign(padding, &SystemRandom::new(), message, &mut value).map_err(failed)?;
                Ok(value)
            }
            (Pair::Ecdsa(pair), SignatureMethod::Ecdsa(_)) if method == self.usual_method() => {
                let value = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(value.as_ref().to_vec())
            }
            (Pair::Ed25519(pair), SignatureMethod::Ed25519) => {
                Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec())
            }
            _ => Err(PrivateKeyError::Method),
        }
    }
}

fn ecdsa(algorithm: &'static lc::EcdsaSigningAlgorithm, bytes: &[u8]) -> Result<Pair, PrivateKeyError> {
    EcdsaKeyPair::from_pkcs8(algorithm, bytes).map(Pair::Ecdsa).map_err(|_| PrivateKeyError::NotAccepted)
}

fn padding(method: SignatureMethod) -> Option<&'static dyn lc::RsaEncoding> {
    use DigestMethod::{Sha256, Sha384, Sha512};
    Some(match method {
        SignatureMethod::RsaPkcs1(Sha256) => &lc::RSA_PKCS1_SHA256,
        SignatureMethod::RsaPkcs1(Sha384) => &lc::RSA_PKCS1_SHA384,
        SignatureMethod::RsaPkcs1(Sha512) => &lc::RSA_PKCS1_SHA512,
        SignatureMethod::RsaPss(Sha256) => &lc::RSA_PSS_SHA256,
        SignatureMethod::RsaPss(Sha384) => &lc::RSA_PSS_SHA384,
        SignatureMethod::RsaPss(Sha512) => &lc::RSA_PSS_SHA512,
        SignatureMethod::Ecdsa(_) | SignatureMethod::Ed25519 => return None,
    })
}

/// Of which kind a PKCS#8 key says that it is (RFC 5958, 2).
fn kind_of(bytes: &[u8]) -> Option<KeyKind> {
    let mut key = Der(bytes).enter(der::SEQUENCE)?;
    key.take(der::INTEGER)?;
    let mut algorithm = key.enter(der::SEQUENCE)?;
    let name = algorithm.take(der::OID)?;
    PublicKey::kind_named(name, algorithm.any())
}
