//! TLS 1.3 with certificates on both sides, and nothing else: no older version, no resumption, no early data.

use std::sync::{Arc, LazyLock};

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme, version};

use crate::identity::{Identity, PeerIdentity};

/// The protocol's name in ALPN.
pub const ALPN: &[u8] = b"x1206/1";

/// Stands where a DNS name would: a server is known by its GUID, and the name is not sent.
pub(crate) const SERVER_NAME: &str = "x1206.invalid";

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        // AES-128 first: with hardware support it is the fastest by a wide margin.
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    })
});

/// Why a configuration cannot be made of an identity.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The library refused it.
    #[error("TLS configuration: {0}")]
    Config(#[from] rustls::Error),
    /// The CA cannot verify clients.
    #[error("client verification: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// No cipher suite for QUIC's first packets; the provider above has one.
    #[error("QUIC configuration: {0}")]
    Quic(#[from] quinn_proto::crypto::rustls::NoInitialCipherSuite),
}

/// Named everywhere, because feature unification may compile several in and rustls then refuses to choose.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    &PROVIDER
}

/// SHA-256, from the same provider as the rest.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    if let Some(suite) = cipher_suite::TLS13_AES_128_GCM_SHA256.tls13() {
        let output = suite.common.hash_provider.hash(bytes);
        digest.copy_from_slice(output.as_ref());
    }
    digest
}

/// A random number from the provider's secure source, for jitter and connection identifiers; 0 if the source fails,
/// which no caller depends on being otherwise.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    // The system's source has failed: TLS will say so before anything here matters.
    let _ = provider().secure_random.fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// A server: demands a certificate of its own CA from every client.
pub(crate) fn server(identity: &Identity) -> Result<QuicServerConfig, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(identity.roots()), Arc::clone(provider())).build()?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity.certified()))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config.try_into()?)
}

/// A client: takes only the server with this GUID.
pub(crate) fn client(identity: &Identity, server: u128) -> Result<QuicClientConfig, TlsError> {
    let verifier = pinned(Arc::clone(identity.roots()), server);
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity.certified()))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config.try_into()?)
}

/// What takes only the server with this GUID.
pub(crate) fn pinned(roots: Arc<RootCertStore>, guid: u128) -> Arc<dyn ServerCertVerifier> {
    Arc::new(PinnedServer { roots, guid })
}

/// Verifies a server by the CA's chain and by its GUID, in the place of a DNS name (row P-12).
#[derive(Debug)]
struct PinnedServer {
    roots: Arc<RootCertStore>,
    guid: u128,
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        match PeerIdentity::of(end_entity) {
            Ok(peer) if peer.guid == self.guid => Ok(ServerCertVerified::assertion()),
            Ok(_) | Err(_) => Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
