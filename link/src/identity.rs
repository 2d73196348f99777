//! Who a node is: a certificate that carries its GUID, and the key to prove it.
//!
//! A GUID stands in a certificate as one subject alternative name of type URI, `urn:uuid:` and the GUID. Exactly one:
//! a certificate for two GUIDs would let its holder choose, per link, who it is (row P-12).

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use schemas::guid::parse_128;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::tls;

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A PEM text that cannot be read. The key's text is never shown.
    #[error("{what}: {error}")]
    Pem {
        /// Which of the three.
        what: &'static str,
        /// What the reader says.
        error: rustls::pki_types::pem::Error,
    },
    /// No certificate where at least one is needed.
    #[error("no certificate in {0}")]
    Empty(&'static str),
    /// Not an X.509 certificate.
    #[error("unreadable certificate: {0}")]
    Certificate(String),
    /// No, or more than one, `urn:uuid:` name.
    #[error("a certificate needs exactly one urn:uuid name, this one has {0}")]
    Guids(usize),
    /// A `urn:uuid:` name that is none.
    #[error("certificate name {0:?} is no GUID")]
    NotAGuid(String),
    /// The key does not fit the certificate, or is of a kind that cannot be used.
    #[error("key and certificate: {0}")]
    Key(rustls::Error),
    /// The CA's certificate cannot be a root of trust.
    #[error("CA certificate: {0}")]
    Root(rustls::Error),
}

/// This node: certificate chain, key, and the CA whose certificates it accepts from others.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    roots: Arc<RootCertStore>,
    own: PeerIdentity,
    /// Derived from the private key; see [`crate::endpoint`] for its use.
    reset_key: [u8; 32],
}

impl Identity {
    /// Reads an identity from PEM texts: the chain with the node's own certificate first, its key, and one or more CA
    /// certificates.
    ///
    /// # Errors
    ///
    /// An unreadable text, a key that does not fit, a certificate without exactly one GUID.
    pub fn load(cert_chain_pem: &[u8], key_pem: &[u8], ca_pem: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(cert_chain_pem, "the certificate chain")?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| IdentityError::Pem { what: "the private key", error })?;
        let mut roots = RootCertStore::empty();
        for root in certificates(ca_pem, "the CA")? {
            roots.add(root).map_err(IdentityError::Root)?;
        }
        let own = PeerIdentity::of(chain.first().ok_or(IdentityError::Empty("the certificate chain"))?)?;
        let reset_key = blake3::derive_key("distributary link 2026 stateless reset", key.secret_der());
        let certified = CertifiedKey::from_der(chain, key, tls::provider()).map_err(IdentityError::Key)?;
        Ok(Self { certified: Arc::new(certified), roots: Arc::new(roots), own, reset_key })
    }

    /// The GUID in this node's certificate.
    pub fn guid(&self) -> u128 {
        self.own.guid
    }

    /// SHA-256 of this node's certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.own.fingerprint
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    pub(crate) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    pub(crate) fn reset_key(&self) -> &[u8; 32] {
        &self.reset_key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.own).finish()
    }
}

/// Whose certificate the other side of a link has proven to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// The GUID in it.
    pub guid: u128,
    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fingerprint: [u8; 32],
}

impl PeerIdentity {
    /// Reads a certificate. That it is genuine is for TLS to say.
    ///
    /// # Errors
    ///
    /// Not a certificate, or not exactly one GUID in it.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        Ok(Self { guid: guid_in(certificate)?, fingerprint: tls::sha256(certificate) })
    }
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Pem { what, error })?;
    if certificates.is_empty() { Err(IdentityError::Empty(what)) } else { Ok(certificates) }
}

/// The one GUID among a certificate's alternative names.
fn guid_in(certificate: &CertificateDer<'_>) -> Result<u128, IdentityError> {
    let unreadable = |error: &dyn fmt::Display| IdentityError::Certificate(error.to_string());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| unreadable(&error))?;
    let names = parsed.subject_alternative_name().map_err(|error| unreadable(&error))?;
    let uris: Vec<&str> = names.iter().flat_map(|names| &names.value.general_names).filter_map(uuid_uri).collect();
    let [uri] = uris[..] else { return Err(IdentityError::Guids(uris.len())) };
    parse_128(uri).map_err(|_| IdentityError::NotAGuid(uri.chars().take(80).collect()))
}

fn uuid_uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    const SCHEME: &str = "urn:uuid:";
    let GeneralName::URI(uri) = name else { return None };
    uri.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME)).then_some(*uri)
}
