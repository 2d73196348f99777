//! Certificates that came with a Signature: which authorities have certified its key, and between which dates.
//!
//! What is found here is true of the bytes and needs no clock. Whether an authority is believed, and whether its word
//! still holds, is decided by whoever has a trust file.

use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key::{KeyId, PublicKey};
use super::{Refusal, pem};

/// An authority that is believed, as the certificate says that its believer has. What else says so of the same key, such as
/// a copy that came with a Signature, may be anybody's and counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its key.
    pub key: KeyId,
    /// The first second since the Unix epoch at which its word holds.
    pub from: u64,
    /// The last one.
    pub until: u64,
    /// How many authorities may stand between it and a signer (RFC 5280, 4.2.1.9); none: any number.
    pub between_max: Option<u32>,
}

/// Why a certificate is no authority's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Nothing that can be read.
    #[error("no certificate in PEM that can be read")]
    Unreadable,
    /// RFC 5280, 4.2.1.9.
    #[error(
        "the certificate is of no authority: its basicConstraints do not say CA:TRUE; give the certificate of who has \
         certified it, or trust this key alone"
    )]
    NoAuthority,
    /// RFC 5280, 4.2.1.3.
    #[error("the certificate may not certify others: its keyUsage does not say keyCertSign")]
    NoCertSign,
    /// Its key is of no accepted kind.
    #[error("the certificate has {0}")]
    Key(#[from] Refusal),
}

impl Authority {
    /// An authority's own certificate, in PEM.
    ///
    /// # Errors
    /// If it is no certificate, its key is of no accepted kind, or it says that it certifies nobody.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let Some(("CERTIFICATE", der)) = pem::first(text) else { return Err(AuthorityError::Unreadable) };
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| AuthorityError::Unreadable)?;
        let basic = certificate.basic_constraints().ok().flatten().filter(|basic| basic.value.ca);
        let between_max = basic.ok_or(AuthorityError::NoAuthority)?.value.path_len_constraint;
        if !may_sign_certificates(&certificate) {
            return Err(AuthorityError::NoCertSign);
        }
        let dates = Dates::of(&certificate);
        let key = PublicKey::from_certificate(&der)?.fingerprint();
        Ok(Self { key, from: dates.from, until: dates.until, between_max })
    }
}

/// An authority that has certified a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The authority's key.
    pub key: KeyId,
    /// The first second since the Unix epoch at which all certificates below it hold.
    pub from: u64,
    /// The last one.
    pub until: u64,
    /// How many authorities stand between.
    pub between: u32,
}

/// Certificates that are looked at; each more costs a verification for every authority above it.
const CERTIFICATES_MAX: usize = 6;

/// The authorities among the certificates above the first that have certified its key, by way of those between, the
/// nearest first. An authority that is to be found must have its certificate among them.
pub fn issuers(certificates: &[Bytes]) -> Vec<Issuer> {
    let chain: Vec<CertificateDer<'_>> =
        certificates.iter().take(CERTIFICATES_MAX).map(|der| CertificateDer::from(der.as_ref())).collect();
    (1..chain.len()).filter_map(|authority| issuer(&chain[..authority], &chain[authority])).collect()
}

/// The authority, if it has certified the chain below it. Of its own certificate only key and name count here: whoever
/// sends it may have written it.
fn issuer(chain: &[CertificateDer<'_>], authority: &CertificateDer<'_>) -> Option<Issuer> {
    let (leaf, between) = chain.split_first()?;
    let all = chain.iter().map(|certificate| Dates::of_der(certificate));
    let dates = all.reduce(|one, other| Some(one?.within(other?)))??;
    let anchor = webpki::anchor_from_trusted_cert(authority).ok()?;
    // Whenever they all hold; later is decided whether that is now.
    let then = UnixTime::since_unix_epoch(Duration::from_secs(dates.from));
    let end = EndEntityCert::try_from(leaf).ok()?;
    // CA:TRUE and the lengths of paths between are looked at in there, keyUsage is not.
    let between: Vec<CertificateDer<'_>> = between.iter().filter(|der| may_certify(der)).cloned().collect();
    let anchors = [anchor];
    let path = end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &between, then, AnyUsage, None, None).ok()?;
    let between = u32::try_from(path.intermediate_certificates().count()).ok()?;
    let key = PublicKey::from_certificate(authority).ok()?.fingerprint();
    Some(Issuer { key, from: dates.from, until: dates.until, between })
}

fn may_certify(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| may_sign_certificates(&certificate))
}

/// Without a keyUsage a key may be used for anything (RFC 5280, 4.2.1.3).
fn may_sign_certificates(certificate: &X509Certificate<'_>) -> bool {
    certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

/// RFC 5280 has no purpose for what is signed here.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Seconds since the Unix epoch, both included.
#[derive(Clone, Copy)]
struct Dates {
    from: u64,
    until: u64,
}

impl Dates {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or_default();
        Self { from: seconds(certificate.validity().not_before), until: seconds(certificate.validity().not_after) }
    }

    fn of_der(der: &[u8]) -> Option<Self> {
        X509Certificate::from_der(der).ok().map(|(_, certificate)| Self::of(&certificate))
    }

    fn within(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }
}

#[cfg(test)]
mod tests;
