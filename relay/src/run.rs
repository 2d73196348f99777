//! Starting and stopping a server. The whole order of both stands here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dialler::clock;
use link::budget::Budget;
use link::close::CloseCode;
use link::endpoint::Server;
use link::identity::Identity;
use link::limits::LinkLimits;
use node::engine::Engine;
use node::policy::Policy;
use node::shard::{self, Shard};
use node::uplink;
use schemas::guid::ServerGuid;
use schemas::limits::Limits;
use schemas::mark::Mark;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{self, Pages};
use crate::config::{self, Config, Upstream};
use crate::control;
use crate::driver::{Driver, Input, Shared, Snapshot};
use crate::links::bundles::{Recent, Writing};
use crate::links::outgoing;
use crate::links::reading::Reading;
use crate::links::session::Context;
use crate::links::{Accepting, accept_links};
use crate::metrics::Metrics;
use crate::store::disk::Disk;
use crate::store::thread::{self, StoreThread};
use crate::store::{OpenError, Options, RealDisk, Store};
use crate::threads::Threads;
use crate::uplinks::Uplink;
use crate::vital::vital;

/// Inputs that may wait for the driver, all links together.
const INPUTS: usize = 1024;
/// Long documents read at once. The types of one take up to 512 bytes an element, some 200 MB at the limit of elements.
const DECODERS: usize = 4;
/// Store reports that may wait for the driver.
const REPORTS: usize = 4096;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A PEM file cannot be read.
    #[error("cannot read {path}: {source}; see distributary pki --help")]
    Pem {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate, key or authority is not usable.
    #[error(transparent)]
    Identity(#[from] link::identity::IdentityError),
    /// The QUIC socket cannot be opened.
    #[error(transparent)]
    Bind(#[from] link::endpoint::BindError),
    /// The admin socket cannot be opened.
    #[error("cannot listen for HTTP on {addr}: {source}")]
    Admin {
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A record in it cannot be read.
    #[error("the store in {directory} holds a {damage}; restore it from a backup")]
    Damaged {
        /// Which store.
        directory: std::path::PathBuf,
        /// What is wrong.
        damage: node::records::Damaged,
    },
    /// The trust file cannot be used.
    #[error(transparent)]
    Trust(#[from] dialler::trust::TrustError),
    /// A thread, socket or registry that the system refused.
    #[error("cannot start: {0}")]
    System(String),
}

/// A server that runs.
pub struct Running {
    server: Arc<Server>,
    quic: SocketAddr,
    admin: SocketAddr,
    snapshot: Shared,
    accepting: CancellationToken,
    drain: CancellationToken,
    stop: CancellationToken,
    /// A part of the server has ended by itself.
    lost: CancellationToken,
    links: TaskTracker,
    exchanges: TaskTracker,
    inputs: mpsc::Sender<Input>,
    services: TaskTracker,
    store: StoreThread,
    grace: Duration,
    identity: config::Identity,
    attached: BTreeMap<ServerGuid, Upstream>,
    /// Keep the links to upstreams.
    dialling: Dialling,
}

/// What starting a link to an upstream takes.
struct Dialling {
    mark: Mark,
    metrics: Metrics,
    /// Ends with the links of clients: what they said is passed on as long as they are there.
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Everything under way was finished.
    Drained,
    /// The grace time ended first; what was under way will be sent again.
    Cut,
}

/// Reads the identity that a configuration names.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn identity(config: &Config) -> Result<Identity, StartError> {
    load(&config.identity)
}

/// The policy of a configuration, with the trust file that it names.
///
/// # Errors
/// Says what in the trust file is wrong.
pub fn policy(config: &Config) -> Result<Policy, StartError> {
    Ok(Policy { trust: Arc::new(config.trust.load()?), ..config.policy() })
}

fn load(files: &config::Identity) -> Result<Identity, StartError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| StartError::Pem { path: path.to_owned(), source });
    Ok(Identity::load(&read(&files.certificate)?, &read(&files.key)?, &read(&files.ca)?)?)
}

/// The link to an upstream, before it is dialled.
fn prepare(upstream: &Upstream, own: &config::Identity, mark: Mark) -> Result<(Uplink, uplink::Config), StartError> {
    let uplink = Uplink::prepare(upstream, &load(&upstream.identity(own))?, mark)?;
    let config = uplink.config(upstream);
    Ok((uplink, config))
}

/// Starts a server on the disk that its configuration names.
///
/// # Errors
/// See [`StartError`]; nothing listens then.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    let disk = Arc::new(RealDisk::open(&config.store.directory)?);
    start_on(config, disk).await
}

/// Starts a server on any disk.
///
/// # Errors
/// See [`StartError`]; nothing listens then.
pub async fn start_on(config: &Config, disk: Arc<dyn Disk>) -> Result<Running, StartError> {
    // Everything that can be refused is looked at before a port is open.
    let identity = identity(config)?;
    let policy = policy(config)?;
    let guid = ServerGuid(identity.guid());
    let options = Options { segment_bytes: config.store.segment_bytes, ..Options::default() };
    let mark = Mark::of(guid.0);
    let prepared: Result<Vec<_>, _> =
        config.upstream.iter().map(|upstream| prepare(upstream, &config.identity, mark)).collect();
    let (uplinks, upstreams): (Vec<Uplink>, Vec<uplink::Config>) = prepared?.into_iter().unzip();
    let (store, recovered) = Store::open(disk, options, clock::random_128())?;
    let reader = store.reader();
    let engine_config = config.engine(guid, upstreams, clock::random_64());
    let engine = Engine::recover(engine_config, policy, recovered, clock::now())
        .map_err(|damage| StartError::Damaged { directory: config.store.directory.clone(), damage })?;
    tracing::info!(
        items = engine.catalogue().len(),
        head = engine.catalogue().head().0,
        clients = engine.registered(),
        "store opened"
    );
    let metrics = Metrics::new().map_err(|error| StartError::System(error.to_string()))?;
    uplinks.iter().for_each(|uplink| metrics.add_up(uplink.meter()));

    let (report_sender, reports) = mpsc::channel(REPORTS);
    let (store, queue) = StoreThread::start(store, thread::Limits::default(), move |report| {
        // The driver is gone only when nobody waits for an answer any more.
        drop(report_sender.blocking_send(report));
    })
    .map_err(|error| StartError::System(error.to_string()))?;

    let admin_listener = TcpListener::bind(config.listen.admin)
        .await
        .map_err(|source| StartError::Admin { addr: config.listen.admin, source })?;
    let admin_addr = admin_listener.local_addr().map_err(|error| StartError::System(error.to_string()))?;
    let limits = LinkLimits {
        document_bytes_max: config.limits.document_bytes,
        congestion: config.transport.congestion.into(),
        sockets: config.transport.sockets(),
        ..LinkLimits::server()
    };
    let budget = Budget::listening(config.limits.inbound_bytes, config.limits.links_max, &limits);
    let by_network = config.transport.congestion_by_network.iter();
    let server = Server::bind(config.listen.quic, &identity, limits, budget)?
        .with_congestion(by_network.map(|(network, congestion)| (*network, (*congestion).into())));
    let server = Arc::new(server);
    metrics.add_down(server.meter());
    let quic = server.local_addr().map_err(|error| StartError::System(error.to_string()))?;

    let (inputs_sender, inputs) = mpsc::channel(INPUTS);
    let (accepting, drain, stop) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let (links, exchanges, services) = (TaskTracker::new(), TaskTracker::new(), TaskTracker::new());
    let lost = CancellationToken::new();
    let snapshot = Shared::default();
    let pages = Pages {
        metrics: metrics.clone(),
        snapshot: snapshot.clone(),
        store: store.counters().clone(),
        draining: accepting.clone(),
    };
    services.spawn(vital("admin", &stop, &lost, admin::serve(admin_listener, pages, stop.clone())));
    let shard = Shard::new(shard::Config::default());
    let (dialling_stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let dialling = Dialling { mark, metrics: metrics.clone(), stop: dialling_stop, tasks };
    let handles = uplinks.into_iter().map(|uplink| {
        let (server, resume) = (uplink.server(), engine.resume_above(uplink.server()));
        (server, uplink.start(resume, inputs_sender.clone(), &dialling.stop, &dialling.tasks))
    });
    let handles = handles.collect();
    let stale = config.stale_after();
    let writing = Arc::new(Writing::new(guid, reader.clone()));
    let recent = Recent::new(writing.clone());
    let driver = Driver::new(engine, shard, recent, (reader.clone(), queue), snapshot.clone(), handles, stale);
    let epoch = driver.epoch();
    match control::bind(&config.store.directory) {
        Ok(socket) => drop(services.spawn(control::serve(socket, inputs_sender.clone(), stale, stop.clone()))),
        // Links do not need it.
        Err(error) => tracing::error!(%error, "no control socket: inventory and ask will not find this server"),
    }
    services.spawn(vital("engine", &stop, &lost, driver.run(inputs, reports, stop.clone())));
    let document_limits = Limits { document_bytes: config.limits.document_bytes as usize, ..Limits::default() };
    let context = Context {
        writing,
        inputs: inputs_sender.clone(),
        reader,
        epoch,
        limits: document_limits,
        metrics,
        reading: Reading::default(),
        decoders: Threads::new(DECODERS),
        answers: Arc::new(Semaphore::new(outgoing::PERMITS)),
        exchanges: exchanges.clone(),
        stopping: accepting.clone(),
        drain: drain.clone(),
    };
    let accept = Accepting {
        server: server.clone(),
        context: Arc::new(context),
        links_max: config.limits.links_max,
        stop: accepting.clone(),
        tracker: links.clone(),
    };
    services.spawn(vital("links", &accepting, &lost, accept_links(accept)));
    tracing::info!(%quic, admin = %admin_addr, server = %guid, "listening");
    let grace = Duration::from_secs(config.limits.drain_seconds);
    Ok(Running {
        server,
        quic,
        admin: admin_addr,
        snapshot,
        accepting,
        drain,
        stop,
        lost,
        links,
        exchanges,
        inputs: inputs_sender,
        services,
        store,
        grace,
        identity: config.identity.clone(),
        attached: config.upstream.iter().map(|upstream| (upstream.guid.0, upstream.clone())).collect(),
        dialling,
    })
}

impl Running {
    /// Where X.1206 over QUIC is spoken.
    pub fn quic_addr(&self) -> SocketAddr {
        self.quic
    }

    /// Where HTTP is spoken.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// What the server says of itself.
    pub fn snapshot(&self) -> Shared {
        self.snapshot.clone()
    }

    /// Waits until a part of the server has ended by itself: its port, or its engine. It cannot do its work any more.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Stops in stages: no new links, then what is under way gets its time, then links close with a code, then the store
    /// writes what is left.
    pub async fn stop(self) -> Stopped {
        self.accepting.cancel();
        self.server.stop_accepting();
        // A server that has lost a part finishes nothing any more.
        let quiet = !self.lost.is_cancelled() && tokio::time::timeout(self.grace, self.quiet()).await.is_ok();
        self.drain.cancel();
        self.links.close();
        let left = tokio::time::timeout(Duration::from_secs(5), self.links.wait()).await.is_ok();
        self.server.close(CloseCode::Drained, "this server is stopping");
        self.dialling.stop.cancel();
        self.dialling.tasks.close();
        drop(tokio::time::timeout(Duration::from_secs(1), self.dialling.tasks.wait()).await);
        self.stop.cancel();
        self.services.close();
        self.services.wait().await;
        let store = self.store;
        let written = tokio::task::spawn_blocking(move || store.join()).await.unwrap_or(false);
        // The peers' acknowledgement of the close is a courtesy.
        drop(tokio::time::timeout(Duration::from_secs(1), self.server.wait_idle()).await);
        if quiet && left && written { Stopped::Drained } else { Stopped::Cut }
    }

    /// Comes back when no exchange is under way, and nothing is queued or waits for an answer. Snapshots are at most a
    /// quarter of a second old: the second one after the beginning saw all that was accepted before.
    async fn quiet(&self) {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let begun = self.last_snapshot().number;
        loop {
            tick.tick().await;
            let snapshot = self.last_snapshot();
            let idle = snapshot.shard.unanswered == 0 && snapshot.shard.queued == 0 && self.exchanges.is_empty();
            if idle && snapshot.number >= begun + 2 {
                break;
            }
        }
    }

    fn last_snapshot(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Puts another policy in force (R-1-6).
    pub async fn set_policy(&self, policy: Policy) {
        // The driver is gone only when the server stops.
        drop(self.inputs.send(Input::Policy(policy)).await);
    }

    /// Puts a file's policy in force, and this server under the upstreams that it names: with all that is below it, it is
    /// attached to those that are new and detached from those that are gone (9.3).
    ///
    /// # Errors
    /// A trust file or an identity that cannot be used; nothing has changed then.
    pub async fn reload(&mut self, config: &Config) -> Result<(), StartError> {
        let policy = policy(config)?;
        let named: BTreeMap<ServerGuid, &Upstream> =
            config.upstream.iter().map(|upstream| (upstream.guid.0, upstream)).collect();
        let mut new = Vec::new();
        for upstream in named.values().filter(|upstream| !self.attached.contains_key(&upstream.guid.0)) {
            new.push(prepare(upstream, &self.identity, self.dialling.mark)?);
        }
        self.set_policy(policy).await;
        let gone: Vec<ServerGuid> =
            self.attached.keys().filter(|server| !named.contains_key(server)).copied().collect();
        for server in gone {
            self.attached.remove(&server);
            drop(self.inputs.send(Input::Detach(server)).await);
        }
        for (uplink, settings) in new {
            let server = uplink.server();
            self.dialling.metrics.add_up(uplink.meter());
            self.attached.extend(named.get(&server).map(|upstream| (server, (*upstream).clone())));
            let handle = uplink.start(None, self.inputs.clone(), &self.dialling.stop, &self.dialling.tasks);
            drop(self.inputs.send(Input::Attach(Box::new(settings), handle)).await);
        }
        if self.attached.values().any(|upstream| named.get(&upstream.guid.0).is_some_and(|named| *named != upstream)) {
            tracing::warn!("an upstream that stays has other settings: they are taken at the next start");
        }
        Ok(())
    }
}
