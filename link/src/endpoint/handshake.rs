//! What both sides do between TLS and the link: read the peer's GUID, grant credit, exchange Hellos.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use crate::apart::Arrived;
use crate::budget::Budget;
use crate::close::{CloseCode, cut};
use crate::connection::{Inner, Link, Side, priority};
use crate::frame::{FrameError, FrameHeader, Kind};
use crate::hello::{HELLO_BYTES_MAX, Hello, HelloError};
use crate::identity::{IdentityError, PeerIdentity};
use crate::limits::LinkLimits;
use crate::quic::{Connection, ReadError, RecvStream, SendStream, WriteError};
use crate::reader::{FrameReader, ReadFailure, Rules};
use crate::traffic::Traffic;
use crate::window::Windows;
use crate::writer::{FrameWriter, WriteFailure};

/// Why no link came of a connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// QUIC or TLS failed: no certificate, one of another CA, or no answer.
    #[error("connection: {0}")]
    Connection(#[from] quinn_proto::ConnectionError),
    /// Too slow.
    #[error("timed out waiting for {0}")]
    Timeout(&'static str),
    /// A genuine certificate without a usable GUID.
    #[error("peer's certificate: {0}")]
    Identity(#[from] IdentityError),
    /// This node has no credit left to grant, or no memory for a Hello.
    #[error("no inbound credit or memory left for another link")]
    Busy,
    /// The peer broke the framing.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer's Hello cannot be read, or ours cannot be said.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// No version in common.
    #[error("no protocol version in common")]
    Version,
}

impl HandshakeError {
    /// What the peer is told.
    fn code(&self) -> CloseCode {
        match self {
            Self::Identity(_) => CloseCode::Refused,
            Self::Timeout(_) => CloseCode::Timeout,
            Self::Busy => CloseCode::Busy,
            Self::Frame(error) => error.code(),
            Self::Hello(_) => CloseCode::Protocol,
            Self::Version => CloseCode::Version,
            Self::Connection(_) => CloseCode::Internal,
        }
    }
}

/// A connection on its way to a link: the peer is known, the control stream is open.
pub(super) struct Opening {
    connection: Connection,
    peer: PeerIdentity,
    rules: Rules,
    writer: FrameWriter,
    reader: FrameReader<RecvStream>,
}

impl Opening {
    /// Checks whose certificate it is, grants credit, and opens or takes the control stream.
    pub(super) async fn begin(
        connection: Connection,
        side: Side,
        limits: &Arc<LinkLimits>,
        budget: &Budget,
    ) -> Result<Self, HandshakeError> {
        let begun = async {
            let peer = identify(&connection)?;
            let windows = Windows::open(&connection, budget, limits).ok_or(HandshakeError::Busy)?;
            let (send, recv) = control_stream(&connection, side, limits).await?;
            Ok((peer, windows, send, recv))
        };
        let (peer, windows, mut send, recv) = begun.await.inspect_err(|error| refuse(&connection, error))?;
        // Fails only if the stream is gone, and then so does the Hello.
        let _ = send.set_priority(priority::CONTROL);
        send.set_urgent(true);
        let rules = Rules {
            limits: Arc::clone(limits),
            share: budget.share(limits.held_bytes_max),
            traffic: Arc::new(Traffic::default()),
            windows: Some(Arc::new(windows)),
            forms: Arc::default(),
            // Lanes and answers go from server to client.
            has_priorities: side == Side::Client,
        };
        let writer = FrameWriter::new(send, Arc::clone(&rules.traffic));
        let reader = FrameReader::new(recv, rules.clone());
        Ok(Self { connection, peer, rules, writer, reader })
    }

    pub(super) fn peer(&self) -> PeerIdentity {
        self.peer
    }

    pub(super) fn remote_addr(&self) -> std::net::SocketAddr {
        self.connection.remote_address()
    }

    /// Says our Hello. The document limit is what this end really takes.
    pub(super) async fn say(&mut self, hello: &Hello) -> Result<(), HandshakeError> {
        let result = self.try_say(hello).await;
        result.inspect_err(|error| refuse(&self.connection, error))
    }

    /// Hears the peer's.
    pub(super) async fn hear(&mut self) -> Result<Hello, HandshakeError> {
        let result = self.try_hear().await;
        result.inspect_err(|error| refuse(&self.connection, error))
    }

    /// Both have been said: a link, if there is a common version.
    pub(super) fn finish(mut self, side: Side, own: &Hello, peer_hello: Hello) -> Result<Link, HandshakeError> {
        let Some(version) = own.common_version(&peer_hello) else {
            refuse(&self.connection, &HandshakeError::Version);
            return Err(HandshakeError::Version);
        };
        self.rules.forms = own.forms.as_slice().into();
        self.reader.take_forms(Arc::clone(&self.rules.forms));
        Ok(Link::new(Inner {
            connection: self.connection,
            side,
            peer: self.peer,
            peer_hello,
            version,
            rules: self.rules,
            control_in: Mutex::new(Some(self.reader)),
            control_out: tokio::sync::Mutex::new(self.writer),
            replies_taken: AtomicBool::new(false),
            arrived: Arrived::new(own.partials.is_some()),
            lanes: Mutex::new(Vec::new()),
            ours: OnceLock::new(),
        }))
    }

    pub(super) fn close(&self, code: CloseCode, text: &str) {
        self.connection.close(code.to_wire(), cut(text).as_bytes());
    }

    /// The most that this end takes as a body.
    pub(super) fn body_bytes_max(&self) -> u32 {
        self.rules.body_bytes_max()
    }

    async fn try_say(&mut self, hello: &Hello) -> Result<(), HandshakeError> {
        let body = [Bytes::from(hello.encode()?)];
        let length = u32::try_from(body[0].len()).map_err(|_| HelloError::TooLong(body[0].len()))?;
        let header = FrameHeader::over(Kind::Hello, &body);
        let written = timeout(self.rules.limits.hello_timeout, self.writer.write(&header, length, &body)).await;
        match written.map_err(|_| HandshakeError::Timeout("the peer to take our Hello"))? {
            Ok(()) => Ok(()),
            Err(WriteFailure::Stream(WriteError::ConnectionLost(error))) => Err(error.into()),
            Err(WriteFailure::Stream(_) | WriteFailure::Unfinished) => Err(FrameError::Missing("for our Hello").into()),
        }
    }

    async fn try_hear(&mut self) -> Result<Hello, HandshakeError> {
        self.reader.limit_body(Some(HELLO_BYTES_MAX));
        let wait = self.rules.limits.hello_timeout;
        let read = timeout(wait, self.reader.next()).await.map_err(|_| HandshakeError::Timeout("Hello"))?;
        let frame = read.map_err(heard_nothing)?.ok_or(FrameError::Missing("before Hello"))?;
        if frame.header.kind != Kind::Hello {
            let place = "where Hello opens the control stream";
            return Err(FrameError::Unexpected { kind: frame.header.kind, place }.into());
        }
        self.reader.limit_body(None);
        Ok(Hello::decode(&frame.body)?)
    }
}

fn heard_nothing(failure: ReadFailure) -> HandshakeError {
    match failure {
        ReadFailure::Frame(error) => error.into(),
        ReadFailure::Timeout => HandshakeError::Timeout("the rest of Hello"),
        ReadFailure::NoRoom => HandshakeError::Busy,
        ReadFailure::Stream(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<ReadError>()) {
            Some(ReadError::ConnectionLost(error)) => HandshakeError::Connection(error.clone()),
            Some(_) | None => FrameError::Missing("before Hello was whole").into(),
        },
    }
}

/// The first bidirectional stream of the client.
async fn control_stream(
    connection: &Connection,
    side: Side,
    limits: &LinkLimits,
) -> Result<(SendStream, RecvStream), HandshakeError> {
    let stream = async {
        match side {
            Side::Client => connection.open_bi().await,
            Side::Server => connection.accept_bi().await,
        }
    };
    let stream = timeout(limits.hello_timeout, stream).await;
    Ok(stream.map_err(|_| HandshakeError::Timeout("the control stream"))??)
}

/// Whose certificate TLS has verified.
fn identify(connection: &Connection) -> Result<PeerIdentity, IdentityError> {
    let chain = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let first = chain.as_ref().and_then(|chain| chain.first()).ok_or(IdentityError::Empty("the peer's chain"))?;
    PeerIdentity::of(first)
}

fn refuse(connection: &Connection, error: &HandshakeError) {
    connection.close(error.code().to_wire(), cut(&error.to_string()).as_bytes());
}
