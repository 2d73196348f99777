//! The end that listens.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use quinn_proto::ServerConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::debug;

use super::handshake::{HandshakeError, Opening};
use super::socket::{BindError, listening, transport};
use crate::budget::Budget;
use crate::close::{CloseCode, cut};
use crate::connection::{Link, Side};
use crate::hello::Hello;
use crate::identity::{Identity, PeerIdentity};
use crate::limits::{Congestion, LinkLimits};
use crate::quic::{self, Endpoint, Incoming};
use crate::tls;
use crate::traffic::{Meter, Traffic, WireBytes};

/// Bytes that QUIC may buffer for connections nobody has looked at yet, all together.
const INCOMING_BYTES: u64 = 4 << 20;

/// A listening port.
pub struct Server {
    /// One for each socket.
    endpoints: Vec<Endpoint>,
    /// What links get.
    config: Arc<ServerConfig>,
    /// What links from some networks get instead, narrow ones first.
    by_network: Vec<(IpNet, Arc<ServerConfig>)>,
    /// Of all sockets.
    traffic: Arc<Traffic>,
    limits: Arc<LinkLimits>,
    budget: Budget,
    handshakes: Arc<Semaphore>,
}

impl Server {
    /// Listens on an address. Port 0 takes any; see [`Server::local_addr`].
    ///
    /// # Errors
    ///
    /// The address or the identity cannot be used.
    pub fn bind(addr: SocketAddr, identity: &Identity, limits: LinkLimits, budget: Budget) -> Result<Self, BindError> {
        let mut config = ServerConfig::with_crypto(Arc::new(tls::server(identity)?));
        config
            .transport_config(Arc::new(transport(&limits)))
            .max_incoming(limits.incoming_max)
            .incoming_buffer_size(u64::from(limits.connection_window))
            .incoming_buffer_size_total(INCOMING_BYTES);
        let config = Arc::new(config);
        let (endpoints, traffic) = listening(addr, identity, &limits, &config)?;
        let handshakes = Arc::new(Semaphore::new(limits.handshakes_max));
        let (by_network, limits) = (Vec::new(), Arc::new(limits));
        Ok(Self { endpoints, config, by_network, traffic, limits, budget, handshakes })
    }

    /// The same, with something else than [`LinkLimits::congestion`] for links from some networks; the narrowest that an
    /// address is in counts.
    #[must_use]
    pub fn with_congestion(mut self, by_network: impl IntoIterator<Item = (IpNet, Congestion)>) -> Self {
        let config = |congestion| {
            let limits = LinkLimits { congestion, ..(*self.limits).clone() };
            let mut config = (*self.config).clone();
            config.transport_config(Arc::new(transport(&limits)));
            Arc::new(config)
        };
        self.by_network = by_network.into_iter().map(|(network, congestion)| (network, config(congestion))).collect();
        self.by_network.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        self
    }

    fn config_for(&self, from: IpAddr) -> &Arc<ServerConfig> {
        // A socket for both families gives the older one's addresses in the form of the newer.
        let from = from.to_canonical();
        self.by_network.iter().find(|(network, _)| network.contains(&from)).map_or(&self.config, |(_, config)| config)
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoints.first().map_or_else(|| Err(std::io::ErrorKind::NotConnected.into()), Endpoint::local_addr)
    }

    /// The next connection attempt, or `None` once the server is closed. Give each [`Handshake`] a task of its own.
    ///
    /// Attempts beyond [`LinkLimits::handshakes_max`] are refused; beyond [`LinkLimits::handshakes_unproven_max`] an
    /// address must first show that it receives what is sent to it.
    pub async fn accept(&self) -> Option<Handshake> {
        loop {
            let incoming = quic::accept(&self.endpoints).await?;
            let Ok(permit) = Arc::clone(&self.handshakes).try_acquire_owned() else {
                debug!(from = %incoming.remote_address(), "too many handshakes at once: refused");
                incoming.refuse();
                continue;
            };
            let running = self.limits.handshakes_max - self.handshakes.available_permits();
            if running > self.limits.handshakes_unproven_max && incoming.may_retry() {
                incoming.retry();
                continue;
            }
            return Some(Handshake {
                config: Arc::clone(self.config_for(incoming.remote_address().ip())),
                incoming,
                limits: Arc::clone(&self.limits),
                budget: self.budget.clone(),
                _permit: permit,
            });
        }
    }

    /// Takes no further connections; links that stand go on.
    pub fn stop_accepting(&self) {
        self.endpoints.iter().for_each(Endpoint::stop_accepting);
    }

    /// Bytes that have crossed the sockets, of every link that is or was, and of what came to none.
    pub fn socket_bytes(&self) -> WireBytes {
        self.traffic.wire_bytes()
    }

    /// The count of what crosses the sockets.
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.traffic))
    }

    /// Closes every link of this port with a code, and ends [`Server::accept`].
    pub fn close(&self, code: CloseCode, text: &str) {
        self.endpoints.iter().for_each(|endpoint| endpoint.close(code.to_wire(), cut(text).as_bytes()));
    }

    /// Waits until every closed connection has been told so.
    pub async fn wait_idle(&self) {
        for endpoint in &self.endpoints {
            endpoint.wait_idle().await;
        }
    }
}

/// A connection attempt that nothing has been done about.
pub struct Handshake {
    incoming: Incoming,
    config: Arc<ServerConfig>,
    limits: Arc<LinkLimits>,
    budget: Budget,
    _permit: OwnedSemaphorePermit,
}

impl Handshake {
    /// From where it comes.
    pub fn remote_addr(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Completes TLS and hears the client's Hello, each with its deadline.
    ///
    /// # Errors
    ///
    /// No certificate of our CA, none with exactly one GUID, too slow, no credit left, or no Hello. The client has been
    /// told.
    pub async fn complete(self) -> Result<Pending, HandshakeError> {
        let connection = self.incoming.accept(Some(self.config))?;
        let connected = timeout(self.limits.handshake_timeout, connection.connected()).await;
        connected.map_err(|_| HandshakeError::Timeout("the TLS handshake"))??;
        let mut opening = Opening::begin(connection, Side::Server, &self.limits, &self.budget).await?;
        let hello = opening.hear().await?;
        Ok(Pending { opening, hello })
    }
}

/// A client that has proven who it is and said Hello; whether it is welcome is the caller's to decide.
pub struct Pending {
    opening: Opening,
    hello: Hello,
}

impl Pending {
    /// Who it is.
    pub fn peer(&self) -> PeerIdentity {
        self.opening.peer()
    }

    /// What it said.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// From where it comes.
    pub fn remote_addr(&self) -> SocketAddr {
        self.opening.remote_addr()
    }

    /// Says our Hello. Its document limit is lowered to what this end really takes.
    ///
    /// # Errors
    ///
    /// No version in common, or the client is gone.
    pub async fn accept(mut self, mut hello: Hello) -> Result<Link, HandshakeError> {
        hello.document_bytes_max = hello.document_bytes_max.min(u64::from(self.opening.body_bytes_max()));
        if hello.common_version(&self.hello).is_some() {
            self.opening.say(&hello).await?;
        }
        self.opening.finish(Side::Server, &hello, self.hello)
    }

    /// Sends it away: [`CloseCode::Refused`] for good, [`CloseCode::Busy`] for now.
    pub fn refuse(self, code: CloseCode, text: &str) {
        self.opening.close(code, text);
    }
}
