//! Peers that hold a certificate and break every rule: nothing panics, nothing hangs, the link closes with a code.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemas::class::Class;

use super::pair::{CLIENT, Pair, SERVER, Site, body, budget, loopback, pending, server, soon};
use crate::close::CloseCode;
use crate::endpoint::HandshakeError;
use crate::error::RecvError;
use crate::frame::{FrameError, FrameHeader, Kind};
use crate::hello::{HELLO_BYTES_MAX, Hello};
use crate::limits::LinkLimits;
use crate::pki::{CA_CERTIFICATE, CA_KEY, Role};
use crate::tls;

/// A client's TLS that believes in the site's CA and shows what it is given, or nothing.
fn config(site: &Site, own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>) -> quinn::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(site.dir().join(CA_CERTIFICATE)).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(tls::pinned(Arc::new(roots), SERVER));
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
    };
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

pub(crate) fn without_certificate(site: &Site) -> quinn::ClientConfig {
    config(site, None)
}

/// A certificate that the CA has signed, for a name that is no GUID.
pub(crate) fn without_guid(site: &Site) -> quinn::ClientConfig {
    let read = |name| std::fs::read_to_string(site.dir().join(name)).unwrap();
    let ca_key = rcgen::KeyPair::from_pem(&read(CA_KEY)).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read(CA_CERTIFICATE), ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["somebody.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    config(site, Some((certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())))
}

/// Connects with a good certificate, writes these bytes as the first stream, and returns what the server says.
async fn first_bytes(bytes: &[u8], finish: bool) -> (HandshakeError, CloseCode) {
    let site = Site::new();
    let limits = LinkLimits { hello_timeout: Duration::from_millis(200), ..LinkLimits::server() };
    let server = server(&site.identity(SERVER, Role::Server), limits, budget());
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let identity = site.identity(CLIENT, Role::Client);
    let config = quinn::ClientConfig::new(Arc::new(tls::client(&identity, SERVER).unwrap()));
    let connecting = endpoint.connect_with(config, server.local_addr().unwrap(), "x1206.invalid").unwrap();
    let attacking = async {
        let connection = connecting.await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        // The server may close at any byte.
        let _ = send.write_all(bytes).await;
        if finish {
            let _ = send.finish();
        }
        match connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => CloseCode::from_wire(close.error_code),
            other => panic!("{other:?}"),
        }
    };
    let (refused, code) = soon(async { tokio::join!(pending(&server), attacking) }).await;
    (refused.err().expect("no link"), code)
}

fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
    let header = FrameHeader::over(kind, &[bytes::Bytes::copy_from_slice(body)]);
    [header.encode(u32::try_from(body.len()).unwrap()).as_slice(), body].concat()
}

#[tokio::test]
async fn garbage_in_place_of_hello_is_refused() {
    let (error, code) =
        first_bytes(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: anything at all\r\n\r\n........", false).await;
    assert!(matches!(error, HandshakeError::Frame(FrameError::Kind(_))), "{error:?}");
    assert_eq!(code, CloseCode::Protocol);
    let (error, code) = first_bytes(&frame(Kind::Hello, &[0, 1, 0xff]), false).await;
    assert!(matches!(error, HandshakeError::Hello(_)), "{error:?}");
    assert_eq!(code, CloseCode::Protocol);
    let (error, _) = first_bytes(&frame(Kind::Document, b"<a/>"), false).await;
    assert!(matches!(error, HandshakeError::Frame(FrameError::Unexpected { .. })), "{error:?}");
}

#[tokio::test]
async fn a_hello_that_does_not_end_is_refused() {
    let hello = frame(Kind::Hello, &Hello::default().encode().unwrap());
    let (error, code) = first_bytes(&hello[..20], false).await;
    assert!(matches!(error, HandshakeError::Timeout(_)), "{error:?}");
    assert_eq!(code, CloseCode::Timeout);
    let (error, _) = first_bytes(&hello[..60], true).await;
    assert!(matches!(error, HandshakeError::Frame(FrameError::Cut { .. })), "{error:?}");
    let (error, _) = first_bytes(&[], true).await;
    assert!(matches!(error, HandshakeError::Frame(FrameError::Missing(_))), "{error:?}");
    let header = FrameHeader::over(Kind::Hello, &[]).encode(HELLO_BYTES_MAX + 1);
    let (error, code) = first_bytes(&header, false).await;
    assert!(matches!(error, HandshakeError::Frame(FrameError::TooLong { .. })), "{error:?}");
    assert_eq!(code, CloseCode::TooLarge);
}

/// What each stream must not carry.
fn bad_streams(kind: Kind) -> Vec<(Vec<u8>, CloseCode)> {
    let mut flipped = frame(kind, b"<a/>");
    *flipped.last_mut().unwrap() ^= 1;
    vec![
        (vec![0xff; 100], CloseCode::Protocol),
        (FrameHeader::over(kind, &[]).encode(u32::MAX).to_vec(), CloseCode::TooLarge),
        (flipped, CloseCode::Digest),
        (frame(kind, b"<a/>")[..58].to_vec(), CloseCode::Protocol),
        (frame(Kind::Hello, b""), CloseCode::Protocol),
        (Vec::new(), CloseCode::Protocol),
    ]
}

#[track_caller]
fn refused(result: Result<(), RecvError>, pair: &Pair, expected: CloseCode) {
    let Err(RecvError::Frame(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.code(), expected, "{error}");
    let closed = pair.down.close_reason().or_else(|| pair.up.close_reason());
    assert_eq!(closed.map(|reason| reason.code), Some(expected));
}

#[tokio::test]
async fn garbage_in_an_exchange_closes_the_link() {
    let two = [frame(Kind::Document, b"<a/>"), frame(Kind::Document, b"<a/>")].concat();
    for (bytes, code) in bad_streams(Kind::Document).into_iter().chain([(two, CloseCode::Protocol)]) {
        let pair = Pair::new().await;
        let (mut send, _recv) = pair.up.inner().connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        let result = soon(async { pair.down.accept_exchange().await.unwrap().document().await }).await;
        refused(result.map(|_| ()), &pair, code);
        assert_eq!(soon(pair.up.closed()).await.code, code);
    }
}

#[tokio::test]
async fn garbage_in_an_answer_closes_the_link() {
    let late = [frame(Kind::Reply, b"<a/>"), frame(Kind::End, b""), frame(Kind::Delivery, b"<a/>")].concat();
    let early = frame(Kind::Delivery, b"<a/>");
    let twice = [frame(Kind::Reply, b"<a/>"), frame(Kind::Reply, b"<a/>")].concat();
    let other_end = FrameHeader::over(Kind::End, &[]).at(9).encode(0);
    let moved = [frame(Kind::Reply, b"<a/>"), other_end.to_vec()].concat();
    let open = frame(Kind::Reply, b"<a/>");
    let more = [late, early, twice, moved, open].map(|bytes| (bytes, CloseCode::Protocol));
    for (bytes, code) in bad_streams(Kind::Reply).into_iter().chain(more) {
        let pair = Pair::new().await;
        let mut asked = pair.up.open_exchange(&body("<request/>")).await.unwrap();
        let (mut send, _recv) = soon(pair.down.inner().connection.accept_bi()).await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        let result = soon(async {
            loop {
                match asked.recv().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        })
        .await;
        refused(result, &pair, code);
    }
}

#[tokio::test]
async fn garbage_in_a_lane_closes_the_link() {
    for (bytes, code) in bad_streams(Kind::Lane) {
        // A Lane has no body: what is too large elsewhere is against the rules here.
        let code = if code == CloseCode::Protocol { code } else { CloseCode::Protocol };
        let pair = Pair::new().await;
        let mut send = pair.down.inner().connection.open_uni().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        let result = soon(pair.up.accept_lane()).await;
        refused(result.map(|_| ()), &pair, code);
    }
    let other_class = FrameHeader::over(Kind::Delivery, &[]).in_class(Class::Bulk).encode(0).to_vec();
    let foreign = [frame(Kind::Reply, b"<a/>"), frame(Kind::Lane, b""), other_class];
    let foreign = foreign.map(|bytes| (bytes, CloseCode::Protocol));
    for (bytes, code) in bad_streams(Kind::Delivery).into_iter().chain(foreign) {
        if bytes.is_empty() {
            continue; // The end of a lane is no fault.
        }
        let pair = Pair::new().await;
        let mut send = pair.down.inner().connection.open_uni().await.unwrap();
        send.write_all(&[frame(Kind::Lane, b""), bytes].concat()).await.unwrap();
        send.finish().unwrap();
        let result = soon(async { pair.up.accept_lane().await.unwrap().recv().await }).await;
        refused(result.map(|_| ()), &pair, code);
    }
}

#[tokio::test]
async fn what_belongs_elsewhere_on_the_control_stream_closes_the_link() {
    let pair = Pair::new().await;
    let mut control = pair.up.inner().control_out.lock().await;
    let header = FrameHeader::over(Kind::Document, &body("<a/>"));
    control.write(&header, 4, &body("<a/>")).await.unwrap();
    let result = soon(pair.down.reply_lane().unwrap().recv()).await;
    refused(result.map(|_| ()), &pair, CloseCode::Protocol);

    let pair = Pair::new().await;
    pair.down.inner().control_out.lock().await.finish().unwrap();
    let result = soon(pair.up.control().unwrap().recv()).await;
    refused(result.map(|_| ()), &pair, CloseCode::Protocol);

    let pair = Pair::new().await;
    pair.up.inner().control_out.lock().await.reset(CloseCode::Done);
    let result = soon(pair.down.reply_lane().unwrap().recv()).await;
    refused(result.map(|_| ()), &pair, CloseCode::Protocol);
}

#[tokio::test]
async fn a_path_that_is_none_closes_the_link() {
    let marks = |bytes: usize| [Bytes::from(vec![0; bytes])];
    let over = |body: &[Bytes]| FrameHeader::over(Kind::Path, body);
    for (header, sent, code) in [
        (over(&marks(17)), 17, CloseCode::Protocol),
        (over(&marks(65 * 16)), 65 * 16, CloseCode::Protocol),
        (over(&marks(32)), 16, CloseCode::Digest),
    ] {
        let pair = Pair::new().await;
        let mut control = pair.down.inner().control_out.lock().await;
        control.write(&header, sent, &marks(sent as usize)).await.unwrap();
        let result = soon(pair.up.control().unwrap().recv()).await;
        refused(result.map(|_| ()), &pair, code);
    }
}

/// Paths go down only.
#[tokio::test]
async fn a_path_from_a_client_closes_the_link() {
    let pair = Pair::new().await;
    let mut control = pair.up.inner().control_out.lock().await;
    control.write(&FrameHeader::over(Kind::Path, &[]), 0, &[]).await.unwrap();
    let result = soon(pair.down.reply_lane().unwrap().recv()).await;
    refused(result.map(|_| ()), &pair, CloseCode::Protocol);
}

#[tokio::test]
async fn a_frame_that_stalls_on_the_reply_lane_closes_the_link() {
    let limits = LinkLimits { frame_timeout: Duration::from_millis(50), ..LinkLimits::server() };
    let pair = Pair::with(limits, LinkLimits::device()).await;
    let mut control = pair.up.inner().control_out.lock().await;
    let header = FrameHeader::over(Kind::Reply, &body("<a/>"));
    // A length that the body does not have.
    control.write(&header, 5, &body("<a/>")).await.unwrap();
    let result = soon(pair.down.reply_lane().unwrap().recv()).await;
    assert!(matches!(result, Err(RecvError::Timeout(_))), "{result:?}");
    assert_eq!(soon(pair.up.closed()).await.code, CloseCode::Timeout);
}

#[tokio::test]
async fn a_client_opens_no_unidirectional_stream() {
    let pair = Pair::new().await;
    let opened = tokio::time::timeout(Duration::from_millis(100), pair.up.inner().connection.open_uni()).await;
    assert!(opened.is_err());
}

/// P-6, at link level: the limit on handshakes.
#[tokio::test]
async fn p_6_handshakes_in_progress_are_bounded() {
    let site = Site::new();
    let limits = LinkLimits { handshakes_max: 2, ..LinkLimits::server() };
    let server = server(&site.identity(SERVER, Role::Server), limits, budget());
    let client = super::pair::client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let addr = server.local_addr().unwrap();
    let dial = || client.connect(addr, schemas::guid::ServerGuid(SERVER), Hello::default());
    let (first, second) = (dial(), dial());
    let accepting = async {
        let held = [server.accept().await.unwrap(), server.accept().await.unwrap()];
        // The third is refused within this wait.
        let third = tokio::time::timeout(Duration::from_secs(1), server.accept()).await;
        assert!(third.is_err());
        drop(held);
    };
    let third = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        dial().await
    };
    let (_, _, (), third) = soon(async { tokio::join!(first, second, accepting, third) }).await;
    assert!(matches!(third, Err(crate::endpoint::ConnectError::Failed(_))), "{third:?}");
}

/// P-6, at link level: under load an address must prove itself.
#[tokio::test]
async fn p_6_an_unproven_address_is_asked_to_come_again_under_load() {
    let site = Site::new();
    let limits = LinkLimits { handshakes_unproven_max: 0, ..LinkLimits::server() };
    let server = server(&site.identity(SERVER, Role::Server), limits, budget());
    let client = super::pair::client(&site.identity(CLIENT, Role::Client), LinkLimits::device(), budget());
    let addr = server.local_addr().unwrap();
    let accepting = async { pending(&server).await.unwrap().accept(Hello::default()).await };
    let connecting = client.connect(addr, schemas::guid::ServerGuid(SERVER), Hello::default());
    let (down, up) = soon(async { tokio::join!(accepting, connecting) }).await;
    assert!(down.is_ok() && up.is_ok(), "the retried attempt succeeds");
}
