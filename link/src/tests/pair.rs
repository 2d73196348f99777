//! Two endpoints of one small CA, and a link between them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use schemas::guid::ServerGuid;
use tempfile::TempDir;

use crate::budget::Budget;
use crate::connection::Link;
use crate::endpoint::{Client, ConnectError, HandshakeError, Pending, Server};
use crate::hello::Hello;
use crate::identity::Identity;
use crate::limits::LinkLimits;
use crate::pki::{self, Role};

pub(crate) const SERVER: u128 = 0x5e;
pub(crate) const CLIENT: u128 = 0xc1;
const MIB: usize = 1 << 20;

/// A CA and what it issues.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        pki::init(dir.path(), "test-ca").unwrap();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn identity(&self, guid: u128, role: Role) -> Identity {
        self.identity_trusting(guid, role, self)
    }

    /// A certificate of this CA whose holder believes in another.
    pub(crate) fn identity_trusting(&self, guid: u128, role: Role, other: &Self) -> Identity {
        let out = tempfile::tempdir_in(self.dir()).unwrap();
        let subject = pki::Subject { guid, role, label: "node" };
        let files = pki::issue(self.dir(), &subject, out.path()).unwrap();
        let read = |path: &Path| std::fs::read(path).unwrap();
        let ca = read(&other.dir().join(pki::CA_CERTIFICATE));
        Identity::load(&read(&files.certificate), &read(&files.key), &ca).unwrap()
    }
}

pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn budget() -> Budget {
    Budget::new(256 * MIB, 256 * MIB).raising(64 * MIB)
}

pub(crate) fn server(identity: &Identity, limits: LinkLimits, budget: Budget) -> Server {
    Server::bind(loopback(), identity, limits, budget).unwrap()
}

pub(crate) fn client(identity: &Identity, limits: LinkLimits, budget: Budget) -> Client {
    Client::bind(loopback(), identity, limits, budget).unwrap()
}

/// The next client of a server that has come as far as its Hello.
pub(crate) async fn pending(server: &Server) -> Result<Pending, HandshakeError> {
    server.accept().await.unwrap().complete().await
}

/// A link and its two ends. The endpoints must outlive it.
pub(crate) struct Pair {
    pub(crate) server: Server,
    _client: Client,
    /// The server's end.
    pub(crate) down: Link,
    /// The client's end.
    pub(crate) up: Link,
    pub(crate) server_budget: Budget,
    pub(crate) client_budget: Budget,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with(LinkLimits::server(), LinkLimits::device()).await
    }

    pub(crate) async fn with(server_limits: LinkLimits, client_limits: LinkLimits) -> Self {
        Self::saying(server_limits, client_limits, Hello::default(), Hello::default()).await.unwrap()
    }

    pub(crate) async fn saying(
        server_limits: LinkLimits,
        client_limits: LinkLimits,
        server_hello: Hello,
        client_hello: Hello,
    ) -> Result<Self, ConnectError> {
        let site = Site::new();
        let (server_budget, client_budget) = (budget(), budget());
        let server = server(&site.identity(SERVER, Role::Server), server_limits, server_budget.clone());
        let client = client(&site.identity(CLIENT, Role::Client), client_limits, client_budget.clone());
        let accepting = async { pending(&server).await?.accept(server_hello).await };
        let addr = server.local_addr().unwrap();
        let (down, up) = tokio::join!(accepting, client.connect(addr, ServerGuid(SERVER), client_hello));
        let up = up?;
        Ok(Self { server, _client: client, down: down.unwrap(), up, server_budget, client_budget })
    }
}

/// A body of one slice.
pub(crate) fn body(text: &'static str) -> [Bytes; 1] {
    [Bytes::from_static(text.as_bytes())]
}

/// Runs a future that must end soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("too slow")
}
