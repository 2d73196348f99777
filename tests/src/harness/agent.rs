//! A whole agent in a task of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use agent::config::{AssetSource, Config};
use agent::journal::{self, Line};
use agent::run::{self, Ended, RunError};
use link::pki::Role;
use schemas::guid::{ClientGuid, ServerGuid};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Authority, TestServer, within};

/// An agent that runs until it is stopped or dropped; its state stays.
pub struct TestAgent {
    config: Config,
    stop: CancellationToken,
    task: JoinHandle<Result<Ended, RunError>>,
}

/// The configuration of an agent or provider with a certificate of the shared CA, and nothing in its inventory.
pub fn agent_config(server: (SocketAddr, ServerGuid), guid: ClientGuid, state: &Path) -> Config {
    let files = Authority::shared().issue(guid.0, Role::Client);
    let mut config = Config::new(server.1);
    config.server.address = server.0;
    config.identity.certificate = files.certificate;
    config.identity.key = files.key;
    config.identity.ca = Authority::shared().certificate();
    config.state.directory = state.to_owned();
    config
}

impl TestAgent {
    /// Starts one under a server.
    pub fn start(server: &TestServer, guid: ClientGuid, state: &Path, assets: Vec<AssetSource>) -> Self {
        Self::run(Config { assets, ..agent_config((server.addr(), server.guid()), guid, state) })
    }

    /// Starts one of any configuration.
    pub fn run(config: Config) -> Self {
        let (own, stop) = (config.clone(), CancellationToken::new());
        let until = stop.clone();
        let task = tokio::spawn(async move { run::run(&own, until).await });
        Self { config, stop, task }
    }

    /// Its journal as it stands; empty if there is none yet.
    pub fn lines(&self) -> Vec<Line> {
        journal::lines(&self.config.state.directory).unwrap_or_default()
    }

    /// Its journal, once `holds` holds.
    ///
    /// # Panics
    ///
    /// If the agent ends by itself.
    pub async fn lines_when(&self, what: &str, holds: impl Fn(&[Line]) -> bool) -> Vec<Line> {
        let look = async {
            let mut every = tokio::time::interval(Duration::from_millis(20));
            loop {
                every.tick().await;
                let lines = self.lines();
                if holds(&lines) {
                    return lines;
                }
                assert!(!self.task.is_finished(), "the agent ended by itself");
            }
        };
        within(what, look).await
    }

    /// Stops it; answers its whole journal.
    ///
    /// # Panics
    ///
    /// If it did not end in good order.
    pub async fn stop(mut self) -> Vec<Line> {
        self.stop.cancel();
        let ended = within("an agent to stop", &mut self.task).await;
        ended.expect("a task that ends").expect("an agent that ends in good order");
        self.lines()
    }
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
