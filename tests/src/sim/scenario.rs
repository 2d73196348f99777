//! A scenario file in virtual time: the file that `distributary tree up` plays with processes, unchanged.
//!
//! Everybody is read out of it by the functions of `relay` that `tree up` uses, and its acts become happenings. What a file
//! leaves open (delays, what a crash tears) is drawn from its seed. Where a process would do otherwise, this is harsher: a
//! cut link is lost even if QUIC would outlive the cut, and a crash takes all that was not synced. A provider sends items
//! one by one, and that it is killed means that its links are cut: what it has answers for is in its state directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use node::client::journal::Event;
use node::uplink;
use relay::config::{Asks, Config, Granularity};
use relay::tree::scenario::{self, Act, Link, Scenario};
use schemas::guid::ClientGuid;

use super::device::Device;
use super::disk::Disk;
use super::fault::Node;
use super::journal::came_and_went;
use super::model::Inventory;
use super::network::Party;
use super::provider::{self, Provider};
use super::real::Items;
use super::server::{Server, client_of, guid_of};
use super::setup::{Rules, Setup};
use super::world::{BEGIN, Happening, Parties, Report, World};
use crate::faults::Random;

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// As of any run.
    pub report: Report,
    /// In the order of the file.
    pub servers: Vec<Stood>,
    /// In the order of the file.
    pub agents: Vec<Heard>,
}

/// What became of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    /// As in the file.
    pub name: String,
    /// How often it started.
    pub lives: u64,
    /// By name, those above it at the end.
    pub above: Vec<String>,
}

/// What became of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// As in the file.
    pub name: String,
    /// What its inventories are called.
    pub inventory: String,
    /// Identifiers of the advisories that it holds at the end.
    pub holds: BTreeSet<String>,
    /// When it wrote of each delivery, since the beginning.
    pub came: Vec<Duration>,
}

impl Played {
    /// What `tree up` counts as items: deliveries in the journals of all agents.
    pub fn items(&self) -> usize {
        self.agents.iter().map(|agent| agent.came.len()).sum()
    }
}

/// Plays a scenario to its rest and checks every journal; paths count from `base`.
///
/// # Errors
/// Says what the scenario names and is not there, or what is wrong at the end.
pub fn play(scenario: &Scenario, base: &Path) -> anyhow::Result<Played> {
    let mut random = Random::new(scenario.seed);
    let parties = parties(scenario, base, &mut random)?;
    let setup = Setup::of_length(scenario.length, is_calm(scenario));
    let mut world = World::new(setup, random, parties);
    let report = world.plays(scenario).map_err(anyhow::Error::msg)?;
    Ok(world.played(scenario, report))
}

/// Whether each item must cross each edge at most once: nothing goes wrong, and all ask for things by the same words.
fn is_calm(scenario: &Scenario) -> bool {
    let mut uplinks = scenario.servers.iter().flat_map(|server| &server.upstreams);
    let (first, is_exact) = (uplinks.clone().next(), |asks: Asks| asks.granularity == Granularity::Version);
    scenario.faults.is_empty()
        && uplinks.all(|one| first.is_some_and(|first| first.asks.ask == one.asks.ask) && !is_exact(one.asks))
}

fn parties(scenario: &Scenario, base: &Path, random: &mut Random) -> anyhow::Result<Parties> {
    let items = Items::read(scenario, base)?;
    let (publications, of_providers) = items.publications()?;
    let providers = scenario.providers.iter().zip(of_providers);
    let providers = providers.map(|(provider, own)| Provider::new(provider.server, own)).collect();
    let groups = scenario.groups.iter().map(|group| items.inventories(group, base));
    let groups: Vec<Vec<Inventory>> = groups.collect::<anyhow::Result<_>>()?;
    let device = |(index, agent): (usize, &scenario::Agent)| {
        let kinds = &groups[agent.group];
        Device::new(index, agent.server, kinds[agent.place % kinds.len()].clone())
    };
    let devices = scenario.agents.iter().enumerate().map(device).collect();
    Ok(Parties { servers: servers(scenario, random), devices, providers, publications })
}

/// Each as its own configuration would make it.
fn servers(scenario: &Scenario, random: &mut Random) -> Vec<Server> {
    let policies = scenario.policies(|party| match party {
        scenario::Party::Server(index) => client_of(index),
        scenario::Party::Provider(index) => provider::guid_of(index),
        // It has no rights, whoever it is.
        scenario::Party::Agent(_) => ClientGuid(0),
    });
    let server = |(index, policy)| {
        let config = Config { policy, ..Config::default() };
        let policy = config.policy();
        let disk = Disk::new(u128::from(random.next_u64()), false);
        let mut server = Server::new(index, Rules::of_config(config), policy, disk);
        let upstreams = scenario.servers[index].upstreams.iter();
        server.upstreams = upstreams.map(|one| (one.server, uplink(index, one.server, one.asks))).collect();
        server
    };
    policies.into_iter().enumerate().map(server).collect()
}

fn uplink(server: usize, upper: usize, asks: Asks) -> uplink::Config {
    asks.uplink(guid_of(upper), client_of(server))
}

impl World {
    fn plays(&mut self, scenario: &Scenario) -> Result<Report, String> {
        for index in 0..self.servers.len() {
            self.starts(Node::Server(index))?;
        }
        for (at, act) in scenario.acts() {
            self.plan(at, act, scenario);
        }
        self.drain()?;
        self.go_on()?;
        self.check()
    }

    /// An act as happenings.
    fn plan(&mut self, at: Duration, act: Act, scenario: &Scenario) {
        match act {
            Act::Enter(group) => {
                let agents = (0..self.devices.len()).filter(|index| scenario.agents[*index].group == group);
                agents.for_each(|index| self.after(millis(at), Happening::Starts(Node::Device(index))));
            }
            Act::Publish(provider) => self.plan_publication(at, provider, scenario.providers[provider].rate),
            Act::Kill(parties) => parties.into_iter().for_each(|party| self.after(millis(at), ends(party))),
            Act::Start(parties) => {
                let again = parties.into_iter().filter_map(|party| starts(at, party, scenario));
                again.for_each(|happening| self.after(millis(at), happening));
            }
            Act::Cut(links) => self.after(millis(at), Happening::Blocks(links.into_iter().map(party_of).collect())),
            Act::Mend(links) => self.after(millis(at), Happening::Heals(links.into_iter().map(party_of).collect())),
            Act::Attach(server, to) => {
                let asks = scenario.servers[server].asks;
                let upstreams = to.into_iter().map(|upper| uplink(server, upper, asks)).collect();
                self.after(millis(at), Happening::Moves(server, upstreams));
            }
        }
    }

    /// Items come evenly, or all at once.
    fn plan_publication(&mut self, at: Duration, provider: usize, rate: Option<u32>) {
        self.after(millis(at), Happening::Dial(Party::Provider(provider)));
        for number in 0..self.providers[provider].publications() {
            let wait = rate.map_or(0, |rate| number as u64 * 1_000 / u64::from(rate));
            self.after(millis(at) + wait, Happening::Release(provider));
        }
    }

    fn played(&self, scenario: &Scenario, report: Report) -> Played {
        let names: BTreeMap<_, &str> = self.publications.iter().map(|one| (one.digest, one.id.as_str())).collect();
        let servers = self.servers.iter().zip(&scenario.servers).map(|(server, told)| Stood {
            name: told.name.clone(),
            lives: server.life,
            above: server.upstreams.keys().map(|upper| scenario.servers[*upper].name.clone()).collect(),
        });
        let agents = self.devices.iter().zip(&scenario.agents).map(|(device, told)| {
            let held = device.client.iter().flat_map(|client| client.holdings().iter());
            let came = device.journal.iter().filter(|entry| is_delivery(&entry.event));
            Heard {
                name: told.name.clone(),
                inventory: name_of(&device.inventory),
                holds: held.filter_map(|(digest, _)| names.get(&digest)).map(|id| (*id).to_owned()).collect(),
                came: came.map(|entry| Duration::from_millis(entry.at.0 - BEGIN)).collect(),
            }
        });
        Played { report, servers: servers.collect(), agents: agents.collect() }
    }
}

fn millis(at: Duration) -> u64 {
    // A day at most.
    at.as_millis() as u64
}

/// Who can crash; of a provider, what can be cut.
fn node(party: scenario::Party) -> Result<Node, Party> {
    match party {
        scenario::Party::Server(index) => Ok(Node::Server(index)),
        scenario::Party::Agent(index) => Ok(Node::Device(index)),
        scenario::Party::Provider(index) => Err(Party::Provider(index)),
    }
}

fn ends(party: scenario::Party) -> Happening {
    match node(party) {
        Ok(node) => Happening::Ends(node),
        Err(provider) => Happening::Blocks(vec![provider]),
    }
}

/// What starts somebody again. An agent that had not come yet comes with its group.
fn starts(at: Duration, party: scenario::Party, scenario: &Scenario) -> Option<Happening> {
    match (party, node(party)) {
        (scenario::Party::Agent(agent), _) if scenario.groups[scenario.agents[agent].group].at > at => None,
        (_, Ok(node)) => Some(Happening::Starts(node)),
        (_, Err(provider)) => Some(Happening::Heals(vec![provider])),
    }
}

/// Whose link it is.
fn party_of(Link { from, to }: Link) -> Party {
    match from {
        scenario::Party::Server(of) => Party::Uplink { of, to },
        scenario::Party::Provider(index) => Party::Provider(index),
        scenario::Party::Agent(index) => Party::Device(index),
    }
}

fn name_of(inventory: &Inventory) -> String {
    match inventory {
        Inventory::Real(real) => real.name.clone(),
        Inventory::Plain(components) => format!("{components:?}"),
    }
}

fn is_delivery(event: &Event) -> bool {
    came_and_went(event) != (None, None) && !matches!(event, Event::Left { .. })
}
