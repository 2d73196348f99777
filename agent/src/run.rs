//! Starting and stopping an agent. The whole order of both stands here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dialler::{Dialler, Hop};
use link::budget::Budget;
use link::close::CloseCode;
use link::endpoint::Client as Endpoint;
use link::hello::{Hello, RequestPolicy};
use link::identity::Identity;
use link::limits::LinkLimits;
use link::reconnect::Target;
use node::client::{self, Client};
use schemas::guid::{Cid, ClientGuid};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::assets::{self, AssetsError, Stamp};
use crate::config::Config;
use crate::contact;
use crate::journal::{Journal, JournalError};
use crate::shell::{self, Driver, Inputs, Store};

/// Links and inventories that may wait for the driver.
const INPUTS: usize = 4;
/// How long the server may take to hear that the link is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a server may ask of an agent (R-8.2.2-6). Whatever it asks for, it gets lists of assets.
const REQUEST_POLICY: [&str; 11] = [
    "Register:",
    "Register:Full",
    "Register:Catalog",
    "Register:End",
    "Request:",
    "Request:Full",
    "Request:Catalog",
    "Request:End",
    "Deliver:",
    "Deliver:Full",
    "Deliver:Catalog",
];

/// Why an agent did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A PEM file cannot be read.
    #[error("cannot read {path}: {source}; see distributary pki --help")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate, key or authority is not usable.
    #[error(transparent)]
    Identity(#[from] link::identity::IdentityError),
    /// The inventory cannot be read.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The trust file cannot be used.
    #[error(transparent)]
    Trust(#[from] dialler::trust::TrustError),
    /// The state directory cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No UDP socket.
    #[error(transparent)]
    Bind(#[from] link::endpoint::BindError),
    /// A thread or signal that the system refused.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// It ran, and cannot go on: a full disk, a registration that was refused.
    #[error("stopped: {0}")]
    Stopped(String),
}

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to; everything acknowledged is in the journal.
    Stopped,
}

/// Reads the identity that a configuration names.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn identity(config: &Config) -> Result<Identity, RunError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| RunError::Pem { path: path.to_owned(), source });
    let files = &config.identity;
    Ok(Identity::load(&read(&files.certificate)?, &read(&files.key)?, &read(&files.ca)?)?)
}

/// Runs an agent until `stop` is cancelled.
///
/// # Errors
/// See [`RunError`]. Nothing that is not in the journal was acknowledged.
pub async fn run(config: &Config, stop: CancellationToken) -> Result<Ended, RunError> {
    // Everything that can be refused is looked at before the first packet.
    let identity = identity(config)?;
    let hop = Hop { client: ClientGuid(identity.guid()), server: config.server.guid.0 };
    let stamp = Stamp::of(&config.assets);
    let inventory = assets::find(&config.assets)?;
    let trust = Arc::new(config.trust.load()?);
    let mut client = Client::new(hop.client, hop.server);
    let mut journal = Journal::open(&config.state.directory, |entry| client.replay(entry))?;
    if let Some(documents) = &config.state.documents {
        journal.share(documents)?;
    }
    let held = client.holdings().len();
    tracing::info!(client = %hop.client, assets = inventory.len(), items = held, "journal opened");
    let target = Target { addr: config.server.address, server: hop.server };
    let endpoint = Arc::new(endpoint(&identity, target.addr, LinkLimits::device())?);

    let (resume, resume_receiver) = watch::channel(client.resume());
    let (name, name_receiver) = watch::channel(client.name());
    let (store, reports) = Store::start(journal)?;
    let (changes, changed) = mpsc::channel(INPUTS);
    let (teller, told) = mpsc::channel(INPUTS);
    let first = [client::Event::Trust(trust.clone()), client::Event::Assets(assets::for_client(&inventory))];
    let every = Duration::from_secs(config.rescan_seconds);
    let watching = {
        let known = shell::Known { inventory, stamp, trust };
        tokio::spawn(shell::watch(config.assets.clone(), config.trust.clone(), every, known, changes))
    };
    let dialler = Dialler {
        endpoint: endpoint.clone(),
        target,
        hop,
        name: name_receiver,
        hello: hello(),
        resume: resume_receiver,
        told: teller,
    };
    // Its own, since the driver may also end by itself.
    let hang_up = stop.child_token();
    let dialling = tokio::spawn(dialler::dial(dialler, hang_up.clone()));

    let (synchronised, synchronised_receiver) = watch::channel(false);
    let noting = tokio::spawn(contact::keep(config.state.directory.clone(), synchronised_receiver));

    let driver = Driver::new(hop, name, client, store, resume, synchronised);
    let stopped = driver.run(first, Inputs { told, changed, reports }, stop.clone()).await;
    watching.abort();
    hang_up.cancel();
    // The driver has let go of what it notes.
    drop(noting.await);
    // The driver has let go of the link; the dialler sees it closed, or that there is nobody to dial for.
    if tokio::time::timeout(FAREWELL, dialling).await.is_err() {
        tracing::debug!("the link did not close in time");
    }
    endpoint.close(CloseCode::Done, "this agent is stopping");
    // The server's acknowledgement of the close is a courtesy.
    drop(tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await);
    stopped.map_or(Ok(Ended::Stopped), |why| Err(RunError::Stopped(why)))
}

/// What an agent says of itself.
fn hello() -> Hello {
    let accepts = REQUEST_POLICY.map(str::to_owned).to_vec();
    Hello { policy: vec![RequestPolicy { cid: Cid::VERSION.0, accepts }], ..Hello::default() }
}

/// A dialling endpoint with room for one link.
pub(crate) fn endpoint(
    identity: &Identity,
    server: std::net::SocketAddr,
    limits: LinkLimits,
) -> Result<Endpoint, link::endpoint::BindError> {
    let budget = Budget::new(limits.held_bytes_max as usize, 2 * limits.connection_window_max as usize);
    Endpoint::bind(Endpoint::any_local(server), identity, limits, budget)
}
