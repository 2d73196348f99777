//! The end that dials.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn_proto::{ClientConfig, ConnectionError, TransportConfig};
use schemas::guid::ServerGuid;
use tokio::time::timeout;

use super::handshake::{HandshakeError, Opening};
use super::socket::{BindError, dialling, transport};
use crate::budget::Budget;
use crate::close::{CloseCode, CloseReason, cut};
use crate::connection::{Link, Side};
use crate::frame::FrameError;
use crate::hello::{Hello, HelloError};
use crate::identity::Identity;
use crate::limits::LinkLimits;
use crate::quic::Endpoint;
use crate::tls::{self, SERVER_NAME, TlsError};
use crate::traffic::{Meter, Traffic, WireBytes};

/// Why there is no link to a server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be dialled from here.
    #[error("{addr}: {error}")]
    Address {
        /// Which.
        addr: SocketAddr,
        /// What the transport says.
        error: quinn_proto::ConnectError,
    },
    /// The identity cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody answers, or too slowly.
    #[error("timed out waiting for {0}")]
    Timeout(&'static str),
    /// Who answered is not the server that was asked for: another CA, or another GUID.
    #[error("not the expected server: {0}")]
    NotTheServer(String),
    /// The server does not take our certificate.
    #[error("our certificate is refused: {0}")]
    CertificateRefused(String),
    /// The server closed the connection with a code.
    #[error("refused: {0}")]
    Refused(CloseReason),
    /// The transport failed in another way.
    #[error("connection failed: {0}")]
    Failed(String),
    /// The server broke the framing.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A Hello that cannot be read or said.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// No version in common.
    #[error("no protocol version in common")]
    Version,
    /// This node has no credit left to grant.
    #[error("no inbound credit left for another link")]
    Busy,
}

/// A dialling endpoint; any number of links share its socket.
pub struct Client {
    endpoint: Endpoint,
    /// Of the socket.
    traffic: Arc<Traffic>,
    identity: Identity,
    limits: Arc<LinkLimits>,
    transport: Arc<TransportConfig>,
    budget: Budget,
}

impl Client {
    /// An endpoint on a local address; [`Client::any_local`] names one that fits.
    ///
    /// # Errors
    ///
    /// The address or the identity cannot be used.
    pub fn bind(local: SocketAddr, identity: &Identity, limits: LinkLimits, budget: Budget) -> Result<Self, BindError> {
        let (endpoint, traffic) = dialling(local, identity, &limits)?;
        let transport = Arc::new(transport(&limits));
        Ok(Self { endpoint, traffic, identity: identity.clone(), limits: Arc::new(limits), transport, budget })
    }

    /// Any port of the family in which a server listens.
    pub fn any_local(remote: SocketAddr) -> SocketAddr {
        if remote.is_ipv6() { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() }
    }

    /// Dials the server with this GUID, and no other. The Hello's document limit is lowered to what this end really
    /// takes.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]; every step has a deadline.
    pub fn connect(
        &self,
        addr: SocketAddr,
        expected: ServerGuid,
        hello: Hello,
    ) -> impl Future<Output = Result<Link, ConnectError>> + Send {
        self.connect_as(&self.identity, addr, expected, hello)
    }

    /// The same as somebody else: a program that stands for many clients needs a socket for a few of them only.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]; every step has a deadline.
    pub async fn connect_as(
        &self,
        identity: &Identity,
        addr: SocketAddr,
        expected: ServerGuid,
        mut hello: Hello,
    ) -> Result<Link, ConnectError> {
        let mut config = ClientConfig::new(Arc::new(tls::client(identity, expected.0)?));
        config.transport_config(Arc::clone(&self.transport));
        let connection =
            self.endpoint.connect(config, addr, SERVER_NAME).map_err(|error| ConnectError::Address { addr, error })?;
        let connected = timeout(self.limits.handshake_timeout, connection.connected()).await;
        connected
            .map_err(|_| ConnectError::Timeout("the TLS handshake"))?
            .map_err(|error| ConnectError::from_transport(&error))?;
        let mut opening = Opening::begin(connection, Side::Client, &self.limits, &self.budget).await?;
        hello.document_bytes_max = hello.document_bytes_max.min(u64::from(opening.body_bytes_max()));
        opening.say(&hello).await?;
        let theirs = opening.hear().await?;
        Ok(opening.finish(Side::Client, &hello, theirs)?)
    }

    /// Bytes that have crossed the socket, of every link that is or was, and of what came to none.
    pub fn socket_bytes(&self) -> WireBytes {
        self.traffic.wire_bytes()
    }

    /// The count of what crosses the socket.
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.traffic))
    }

    /// Closes every link of this endpoint with a code.
    pub fn close(&self, code: CloseCode, text: &str) {
        self.endpoint.close(code.to_wire(), cut(text).as_bytes());
    }

    /// Waits until every closed connection has been told so.
    pub async fn wait_idle(&self) {
        self.endpoint.wait_idle().await;
    }
}

impl ConnectError {
    /// Tells a certificate's fault from the rest: TLS alerts are QUIC errors 0x100 to 0x1ff.
    fn from_transport(error: &ConnectionError) -> Self {
        let tls = |code: quinn_proto::TransportErrorCode| (0x100..0x200).contains(&u64::from(code));
        match error {
            ConnectionError::TransportError(fault) if tls(fault.code) => Self::NotTheServer(fault.reason.clone()),
            ConnectionError::ConnectionClosed(close) if tls(close.error_code) => {
                Self::CertificateRefused(close.to_string())
            }
            ConnectionError::ApplicationClosed(_) => Self::Refused(CloseReason::from_transport(error, None)),
            ConnectionError::TimedOut => Self::Timeout("an answer"),
            ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::VersionMismatch
            | ConnectionError::Reset
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => Self::Failed(error.to_string()),
        }
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Connection(error) => Self::from_transport(&error),
            HandshakeError::Timeout(what) => Self::Timeout(what),
            HandshakeError::Identity(error) => Self::NotTheServer(error.to_string()),
            HandshakeError::Busy => Self::Busy,
            HandshakeError::Frame(error) => Self::Frame(error),
            HandshakeError::Hello(error) => Self::Hello(error),
            HandshakeError::Version => Self::Version,
        }
    }
}
