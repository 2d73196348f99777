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

/// An authority, by its key, and the seconds since the Unix epoch within which its word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The authority's key.
    pub key: KeyId,
    /// First second.
    pub from: u64,
    /// Last second.
    pub until: u64,
}

impl Issuer {
    /// An authority's own certificate, in PEM.
    ///
    /// # Errors
    /// If it is no certificate, its key is of no accepted kind, or it says that it is of no authority.
    pub fn from_pem(text: &str) -> Result<Self, Refusal> {
        let Some(("CERTIFICATE", der)) = pem::first(text) else {
            return Err(Refusal::KeyInfo("no certificate in PEM"));
        };
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| Refusal::KeyInfo("no certificate that can be read"))?;
        if !certificate.is_ca() {
            return Err(Refusal::KeyInfo("a certificate that is of no authority (CA:TRUE is missing)"));
        }
        let dates = Dates::of(&certificate);
        Ok(Self { key: PublicKey::from_certificate(&der)?.fingerprint(), from: dates.from, until: dates.until })
    }
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

/// The authority, if it has certified the chain below it. Its own dates are those of the certificate that is trusted,
/// not of the one that somebody sent.
fn issuer(chain: &[CertificateDer<'_>], authority: &CertificateDer<'_>) -> Option<Issuer> {
    let (leaf, between) = chain.split_first()?;
    let all = chain.iter().map(|certificate| Dates::of_der(certificate));
    let dates = all.reduce(|one, other| Some(one?.within(other?)))??;
    let anchor = webpki::anchor_from_trusted_cert(authority).ok()?;
    // Whenever they all hold; later is decided whether that is now.
    let then = UnixTime::since_unix_epoch(Duration::from_secs(dates.from));
    let end = EndEntityCert::try_from(leaf).ok()?;
    end.verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], between, then, AnyUsage, None, None).ok()?;
    let key = PublicKey::from_certificate(authority).ok()?.fingerprint();
    Some(Issuer { key, from: dates.from, until: dates.until })
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
