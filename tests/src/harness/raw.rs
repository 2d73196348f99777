//! A client that can break the protocol: QUIC and TLS as they should be, and on the streams whatever a test writes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use link::frame::{FrameHeader, HEADER_BYTES, Kind};
use link::hello::Hello;
use link::pki::Role;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use schemas::guid::ClientGuid;

use super::{Authority, TestServer, within};

/// A connection that has said Hello.
#[derive(Debug)]
pub struct RawClient {
    /// The connection.
    pub connection: Connection,
    /// Our half of the control stream, behind the Hello.
    pub control: SendStream,
    // Dropped, it would end the control stream.
    _control_in: RecvStream,
    _endpoint: Endpoint,
}

/// The bytes of a frame, with a length that may lie.
pub fn frame(kind: Kind, length: u32, body: &[u8]) -> Vec<u8> {
    let header = FrameHeader::over(kind, &[Bytes::copy_from_slice(body)]);
    [&header.encode(length)[..], body].concat()
}

impl RawClient {
    /// Connects as a client of the shared CA and says Hello.
    ///
    /// # Panics
    ///
    /// If it is not let in.
    pub async fn connect(server: &TestServer, guid: ClientGuid) -> Self {
        let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a socket");
        let connecting = endpoint.connect_with(config(guid), server.addr(), "x1206.invalid").expect("an address");
        let connection = within("a connection", connecting).await.expect("a connection");
        let (mut control, mut control_in) = connection.open_bi().await.expect("a control stream");
        let hello = Hello::default().encode().expect("a Hello");
        let length = u32::try_from(hello.len()).expect("a short Hello");
        control.write_all(&frame(Kind::Hello, length, &hello)).await.expect("a sent Hello");
        let mut header = [0; HEADER_BYTES];
        within("a Hello", control_in.read_exact(&mut header)).await.expect("a Hello");
        let (_, length) = FrameHeader::decode(&header).expect("a header");
        let mut body = vec![0; length as usize];
        within("a Hello", control_in.read_exact(&mut body)).await.expect("a Hello");
        Self { connection, control, _control_in: control_in, _endpoint: endpoint }
    }

    /// How the server ends the connection: its code, and what it says.
    ///
    /// # Panics
    ///
    /// If it ends otherwise.
    pub async fn closed(&self) -> (u64, String) {
        match within("the server to close", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => {
                (close.error_code.into_inner(), String::from_utf8_lossy(&close.reason).into_owned())
            }
            other => panic!("{other}"),
        }
    }
}

fn config(guid: ClientGuid) -> ClientConfig {
    let files = Authority::shared().issue(guid.0, Role::Client);
    let chain = vec![CertificateDer::from_pem_file(files.certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(files.key).expect("a key");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut tls = tls.with_client_auth_cert(chain, key).expect("an identity");
    tls.alpn_protocols = vec![link::tls::ALPN.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a QUIC configuration")))
}

/// Any server will do: it is the server that is tested here.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
