//! Certificates for the peers, and what their clients offer: TLS 1.3 with AES-128-GCM and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where the files of a folder are.
#[derive(Clone, Debug)]
pub struct Files {
    /// Of the authority.
    pub ca: PathBuf,
    /// Of the relay, for its address.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Cryptography with AES-128-GCM only. A server that may choose gets no choice.
pub fn provider() -> CryptoProvider {
    let cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() }
}

impl Files {
    /// Their names: in a folder of their own, as moq-relay reads its certificate again whenever anything changes beside it, its log for one.
    pub fn of(folder: &Path) -> Self {
        let [ca, certificate, key] = ["ca.pem", "relay.pem", "relay.key"].map(|name| folder.join("tls").join(name));
        Self { ca, certificate, key }
    }

    /// Makes an authority and a certificate for a relay at this address, with P-256 keys.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn make(folder: &Path, address: &str) -> anyhow::Result<Self> {
        let files = Self::of(folder);
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "comparison");
        let authority_key = KeyPair::generate()?;
        let issuer_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([address.to_owned()])?.signed_by(&key, &issuer)?;
        std::fs::create_dir_all(folder.join("tls"))?;
        std::fs::write(&files.ca, issuer_certificate.pem())?;
        std::fs::write(&files.certificate, certificate.pem())?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }

    /// What a client offers that trusts this authority.
    ///
    /// # Errors
    /// The authority's certificate cannot be read.
    pub fn client(&self) -> anyhow::Result<rustls::ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca).with_context(|| self.ca.display().to_string())?)?;
        Ok(rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth())
    }

    /// What our own reference relay offers.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn server(&self) -> anyhow::Result<rustls::ServerConfig> {
        let certificate = CertificateDer::from_pem_file(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        Ok(rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?)
    }
}
