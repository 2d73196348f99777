//! A whole server on port 0, with a real store in a temporary folder.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use link::pki::Role;
use relay::config::{Config, Guid, Identity, Listen};
use relay::driver::Snapshot;
use relay::run::{self, Running, Stopped};
use relay::store::RealDisk;
use schemas::guid::{ClientGuid, ServerGuid};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::{Authority, within};

/// A server that can be stopped and started again on the same folder.
pub struct TestServer {
    guid: ServerGuid,
    /// Apart, so that the futures of tests stay small.
    config: Box<Config>,
    folder: TempDir,
    running: Option<Running>,
}

impl TestServer {
    /// Starts a server of this GUID whose configuration is the default, changed by `change`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn start(guid: ServerGuid, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::shared();
        let files = authority.issue(guid.0, Role::Server);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Box::new(Config {
            listen: Listen { quic: loopback, admin: loopback },
            identity: Identity { certificate: files.certificate, key: files.key, ca: authority.certificate() },
            ..Config::default()
        });
        config.store.directory = folder.path().join("store");
        // Who does not answer is not waited for: it gets its items again.
        config.limits.drain_seconds = 0;
        change(&mut config);
        let mut server = Self { guid, config, folder, running: None };
        server.run().await;
        server
    }

    /// The same with these providers.
    pub async fn with_providers(guid: ServerGuid, providers: &[ClientGuid]) -> Self {
        let providers: BTreeSet<Guid> = providers.iter().copied().map(Guid).collect();
        Self::start(guid, |config| config.policy.providers = providers).await
    }

    async fn run(&mut self) {
        let disk = RealDisk::open(&self.config.store.directory).expect("a data directory");
        let running = within("a server to start", run::start_on(&self.config, Arc::new(disk))).await;
        self.running = Some(running.expect("a server that starts"));
    }

    /// Stops it.
    ///
    /// # Panics
    ///
    /// If it does not run, or does not stop.
    pub async fn stop(&mut self) -> Stopped {
        let running = self.running.take().expect("a server that runs");
        within("a server to stop", running.stop()).await
    }

    /// Starts it again after [`Self::stop`], on the same folder.
    pub async fn start_again(&mut self) {
        self.run().await;
    }

    /// Stops it and starts it on the same folder, with its configuration changed.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop().await;
        change(&mut self.config);
        self.run().await;
    }

    /// Stops it and starts it on the same folder.
    pub async fn restart(&mut self) {
        self.restart_with(|_| ()).await;
    }

    /// Changes its configuration while it runs, as SIGHUP does: policy and upstreams.
    ///
    /// # Panics
    ///
    /// If it does not run, or does not take it.
    pub async fn reload(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        let running = self.running.as_mut().expect("a server that runs");
        within("a server to take its configuration", running.reload(&self.config)).await.expect("a good one");
    }

    /// Who it is.
    pub fn guid(&self) -> ServerGuid {
        self.guid
    }

    /// Where it speaks X.1206.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn addr(&self) -> SocketAddr {
        self.running().quic_addr()
    }

    /// Its folder, for a test that looks at what is kept.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a server that runs")
    }

    /// What it says of itself, once `holds` holds; it is refreshed four times a second.
    pub async fn snapshot_when(&self, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let shared = self.running().snapshot();
        let look = async {
            let mut every = tokio::time::interval(std::time::Duration::from_millis(20));
            loop {
                every.tick().await;
                let snapshot = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if holds(&snapshot) {
                    return snapshot;
                }
            }
        };
        within("a snapshot that shows what is expected", look).await
    }

    /// What its control socket answers: status and JSON.
    ///
    /// # Panics
    ///
    /// If nothing is answered.
    pub async fn control(&self, request: &str, body: &str) -> (u16, Value) {
        let path = self.config.store.directory.join(relay::control::SOCKET);
        let ask = async {
            let mut stream = UnixStream::connect(path).await?;
            let length = body.len();
            let head = format!("{request} HTTP/1.0\r\nHost: control\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + body).as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        let answer = within("the control socket", ask).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    /// What it says of itself after all that has happened so far.
    pub async fn snapshot(&self) -> Snapshot {
        let before = self.snapshot_when(|_| true).await.number;
        // The next one may have been begun before.
        self.snapshot_when(|snapshot| snapshot.number >= before + 2).await
    }

    /// A page of its admin interface, with status line and headers.
    ///
    /// # Panics
    ///
    /// If it is not served.
    pub async fn page(&self, path: &str) -> String {
        page(self.running().admin_addr(), path).await
    }
}

/// A page of an admin interface, with status line and headers.
///
/// # Panics
///
/// If it is not served.
pub async fn page(admin: SocketAddr, path: &str) -> String {
    let fetch = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await.map(|_| page)
    };
    within("a page", fetch).await.expect("a page")
}
