//! A scenario as files: keys, a configuration for each party, inventories, what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use agent::config::{AssetSource, Config as AgentConfig};
use anyhow::{bail, ensure};
use link::pki::Role;
use schemas::guid::{ClientGuid, ServerGuid};

use super::folder::{Folder, Pem};
use super::forwarder::Forwarder;
use super::inventory::{Form, Inventory, Stock};
use super::ports;
use super::publications;
use super::scenario::{Agent, Link, Party, Scenario, Uplink};
use crate::config::{Config, Identity, Listen, PolicyTable, Store, Upstream};

/// Links that can be cut: each has two sockets and a task.
const CUT_LINKS_MAX: usize = 100;
/// Each is a process with a store of its own.
const SERVERS_MAX: usize = 64;
/// What a machine with 24 GiB holds with room to spare.
const AGENTS_MAX: usize = 5_000;

/// Threads that issue certificates.
const ISSUERS: usize = 8;

/// A scenario, written down.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) folder: Folder,
    nodes: Vec<Node>,
    /// Instead of a link that is ever cut.
    forwarders: BTreeMap<Link, Forwarder>,
    /// What each provider publishes.
    publications: Vec<Vec<PathBuf>>,
    /// Who may do what at each server.
    policies: Vec<PolicyTable>,
}

/// Where a server is, and who.
#[derive(Clone, Copy)]
struct Node {
    guid: u128,
    quic: SocketAddr,
    admin: SocketAddr,
}

impl World {
    /// Writes all of it. Paths of the scenario count from `base`.
    pub(crate) fn make(scenario: Scenario, base: &Path, keep: Option<&Path>) -> anyhow::Result<Self> {
        check(&scenario)?;
        let folder = Folder::make("distributary-tree-", keep)?;
        let nodes = nodes(&scenario, &folder)?;
        let forwarders = forwarders(&scenario, &nodes)?;
        let policies = policies(&scenario, &nodes, &folder)?;
        let publications = publications::find(&scenario, base, &folder.path(""))?;
        let world = Self { scenario, folder, nodes, forwarders, publications, policies };
        for (index, server) in world.scenario.servers.iter().enumerate() {
            world.write_server(index, &server.upstreams)?;
        }
        for (index, provider) in world.scenario.providers.iter().enumerate() {
            let config = world.client(&provider.name, Party::Provider(index), provider.server, Vec::new())?;
            world.folder.write_config(&provider.name, &config)?;
        }
        world.issue_to_agents()?;
        world.write_agents(base)?;
        Ok(world)
    }

    /// Writes a server's configuration, with these upstreams.
    pub(crate) fn write_server(&self, index: usize, upstreams: &[Uplink]) -> anyhow::Result<()> {
        let server = &self.scenario.servers[index];
        let Pem { certificate, key, ca } = self.folder.pem(&server.name);
        let upstream = |uplink: &Uplink| {
            let address = self.address(Link { from: Party::Server(index), to: uplink.server })?;
            Ok(Upstream::with(address, ServerGuid(self.nodes[uplink.server].guid), uplink.asks))
        };
        let config = Config {
            listen: Listen { quic: self.nodes[index].quic, admin: self.nodes[index].admin },
            identity: Identity { certificate, key, ca },
            store: Store { directory: self.folder.path(format!("{}-store", server.name)), ..Store::default() },
            upstream: upstreams.iter().map(upstream).collect::<anyhow::Result<_>>()?,
            policy: self.policies[index].clone(),
            ..Config::default()
        };
        self.folder.write_config(&server.name, &config)
    }

    /// Each certificate waits for the disk; many wait together.
    fn issue_to_agents(&self) -> anyhow::Result<()> {
        let agents = &self.scenario.agents;
        let share = agents.len().div_ceil(ISSUERS).max(1);
        std::thread::scope(|scope| {
            let issue = |agents: &[Agent]| {
                agents.iter().try_for_each(|agent| self.folder.issue(&agent.name, Role::Client).map(|_| ()))
            };
            let issuing: Vec<_> = agents.chunks(share).map(|agents| scope.spawn(move || issue(agents))).collect();
            let joined = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<()>>| {
                thread.join().unwrap_or_else(|_| bail!("a thread that issues certificates panicked"))
            };
            issuing.into_iter().try_for_each(joined)
        })
    }

    fn write_agents(&self, base: &Path) -> anyhow::Result<()> {
        std::fs::create_dir(self.folder.path("inventories"))?;
        let groups = self.scenario.groups.iter().enumerate();
        let stocks = groups.map(|(index, group)| {
            Stock::read(group, base)?.try_map(|place, inventory| self.write_inventory(inventory, index, place))
        });
        let stocks: Vec<Stock<AssetSource>> = stocks.collect::<anyhow::Result<_>>()?;
        for (index, agent) in self.scenario.agents.iter().enumerate() {
            let assets = stocks[agent.group].of(agent.place).cloned().collect();
            let config = self.client(&agent.name, Party::Agent(index), agent.server, assets)?;
            self.folder.write_config(&agent.name, &config)?;
        }
        Ok(())
    }

    fn write_inventory(&self, inventory: &Inventory, group: usize, place: usize) -> anyhow::Result<AssetSource> {
        let extension = if inventory.form == Form::Lock { "lock" } else { "toml" };
        let path = self.folder.write(&format!("inventories/{group}-{place}.{extension}"), &inventory.text)?;
        let (cargo_lock, list) = match inventory.form {
            Form::Lock => (Some(path), None),
            Form::List => (None, Some(path)),
        };
        Ok(AssetSource { name: inventory.name.clone(), cargo_lock, list })
    }

    /// A client's configuration.
    fn client(&self, name: &str, party: Party, server: usize, assets: Vec<AssetSource>) -> anyhow::Result<AgentConfig> {
        let mut config = AgentConfig::new(ServerGuid(self.nodes[server].guid));
        let Pem { certificate, key, ca } = self.folder.pem(name);
        config.server.address = self.address(Link { from: party, to: server })?;
        config.identity = agent::config::Identity { certificate, key, ca };
        config.state.directory = self.state(name);
        config.assets = assets;
        Ok(config)
    }

    /// Where a party dials a server.
    fn address(&self, link: Link) -> anyhow::Result<SocketAddr> {
        Ok(match self.forwarders.get(&link) {
            Some(forwarder) => forwarder.address()?,
            None => self.nodes[link.to].quic,
        })
    }

    /// Where a server speaks X.1206.
    pub(crate) fn quic(&self, server: usize) -> SocketAddr {
        self.nodes[server].quic
    }

    /// Where a server answers operators.
    pub(crate) fn admin(&self, server: usize) -> SocketAddr {
        self.nodes[server].admin
    }

    /// Where an agent keeps its journal.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.folder.path(format!("{name}-state"))
    }

    /// What a provider publishes, in order.
    pub(crate) fn publications(&self, provider: usize) -> &[PathBuf] {
        &self.publications[provider]
    }

    /// Those of the links that can be cut.
    pub(super) fn forwarders(&self) -> impl Iterator<Item = (&Link, &Forwarder)> {
        self.forwarders.iter()
    }
}

/// What is too much for processes on one machine.
fn check(scenario: &Scenario) -> anyhow::Result<()> {
    let cut = scenario.links_cut().collect::<BTreeSet<_>>().len();
    let counts = [
        (scenario.servers.len(), SERVERS_MAX, "servers"),
        (scenario.agents.len(), AGENTS_MAX, "agents"),
        (cut, CUT_LINKS_MAX, "links that are cut"),
    ];
    for (count, max, what) in counts {
        ensure!(count <= max, "{count} {what}: as processes on one machine, {max} at most");
    }
    Ok(())
}

fn nodes(scenario: &Scenario, folder: &Folder) -> anyhow::Result<Vec<Node>> {
    let ports = ports::free(2 * scenario.servers.len())?;
    let (quic, admin) = ports.split_at(scenario.servers.len());
    let servers = scenario.servers.iter().zip(quic).zip(admin);
    servers
        .map(|((server, quic), admin)| {
            Ok(Node { guid: folder.issue(&server.name, Role::Server)?, quic: *quic, admin: *admin })
        })
        .collect()
}

fn forwarders(scenario: &Scenario, nodes: &[Node]) -> anyhow::Result<BTreeMap<Link, Forwarder>> {
    let cut: BTreeSet<Link> = scenario.links_cut().collect();
    cut.into_iter().map(|link| Ok((link, Forwarder::bind(nodes[link.to].quic)?))).collect()
}

/// The providers' GUIDs, with their certificates.
fn issue_to_providers(scenario: &Scenario, folder: &Folder) -> anyhow::Result<Vec<u128>> {
    scenario.providers.iter().map(|provider| folder.issue(&provider.name, Role::Client)).collect()
}

fn policies(scenario: &Scenario, nodes: &[Node], folder: &Folder) -> anyhow::Result<Vec<PolicyTable>> {
    let providers = issue_to_providers(scenario, folder)?;
    // An agent has no rights, whoever it is.
    Ok(scenario.policies(|party| match party {
        Party::Server(index) => ClientGuid(nodes[index].guid),
        Party::Provider(index) => ClientGuid(providers[index]),
        Party::Agent(_) => ClientGuid(0),
    }))
}
