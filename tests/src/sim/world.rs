//! Virtual time: what happens when, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use node::engine::{self, ReplyTo};
use node::ids::{LinkId, Position, Ticket, Time};
use node::policy::Policy;
use node::{client, shard, uplink};
use schemas::class::Class;

use super::device::Device;
use super::disk::Disk;
use super::drain::Machine;
use super::fault::Node;
use super::model::{self, Publication, Scale};
use super::network::{Message, Network, Party};
use super::provider::{self, Provider};
use super::server::{Server, client_of};
use super::setup::{Rules, Setup};
use super::traffic::Traffic;
use super::tree::{self, Tree};
use super::{Options, Shape};
use crate::faults::Random;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Servers and devices.
    pub nodes: usize,
    /// Events that happened.
    pub steps: u64,
    /// Virtual milliseconds.
    pub elapsed: u64,
    /// Journal entries of all devices.
    pub entries: usize,
    /// How often an item crossed an edge.
    pub crossed: u64,
    /// How often of those one that it had crossed before.
    pub crossed_again: u64,
}

/// Virtual time begins here.
pub(super) const BEGIN: u64 = 1_700_000_000_000;
/// Nothing that comes to rest takes so many.
const STEPS_MAX: u64 = 3_000_000;

/// What can happen.
#[derive(Debug)]
pub(super) enum Happening {
    Arrives(LinkId, Message),
    /// In this life of this server.
    AtServer(usize, u64, AtServer),
    /// In this life of this device, its oldest write is durable.
    DeviceSynced(usize, u64),
    Dial(Party),
    SeesDown(Party, LinkId),
    Starts(Node),
    Heals(Vec<Party>),
    Fault,
    /// A provider may send one more.
    Release(usize),
    ProviderGoesOn(usize),
    DiskFillsUp(usize),
    /// An operator puts a server under another, configured so.
    Attach(usize, usize, Box<uplink::Config>),
    Ends(Node),
    Blocks(Vec<Party>),
    /// A server ends, and starts again at once under these.
    Moves(usize, Vec<uplink::Config>),
}

/// What can happen to a server that runs.
#[derive(Debug)]
pub(super) enum AtServer {
    Synced(Ticket),
    Flushed(Ticket),
    Ready(LinkId, Class),
    Timer,
    SeesDown(LinkId),
    /// Its operator has seen that it stores nothing any more.
    Restarts,
    AnswerGoesOn(Box<ReplyTo>, Position),
}

pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) scale: Scale,
    pub(super) options: Options,
    pub(super) now: u64,
    sequence: u64,
    happenings: BTreeMap<(u64, u64), Happening>,
    pub(super) random: Random,
    pub(super) network: Network,
    /// The first ones have a provider each.
    pub(super) servers: Vec<Server>,
    pub(super) devices: Vec<Device>,
    pub(super) providers: Vec<Provider>,
    pub(super) publications: Vec<Publication>,
    pub(super) traffic: Traffic,
    /// Machines that may want something done.
    pub(super) busy: BTreeSet<Machine>,
    pub(super) next_id: u128,
    pub(super) steps: u64,
}

/// Runs one seed to its rest and checks every journal.
///
/// # Errors
/// Says what is wrong; the caller adds the seed.
pub fn run(seed: u64, options: Options) -> Result<Report, String> {
    let mut world = World::drawn(seed, options);
    world.begin()?;
    world.go_on()?;
    world.check()
}

/// Who and what is there.
pub(super) struct Parties {
    pub(super) servers: Vec<Server>,
    pub(super) devices: Vec<Device>,
    pub(super) providers: Vec<Provider>,
    pub(super) publications: Vec<Publication>,
}

impl World {
    fn drawn(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let setup = Setup::draw(options, &mut random);
        let scale = Scale::draw(options, &mut random);
        let tree = Tree::draw(options, &mut random);
        let publications = model::publications(scale, tree.roots, &mut random);
        let provider = |root| {
            let own = publications.iter().filter(|one| one.roots.contains(&root)).cloned();
            Provider::new(root, own.collect())
        };
        let providers = (0..tree.roots).map(provider).collect();
        let servers = servers(&tree, scale, options, &mut random);
        let device =
            |(index, server): (usize, &usize)| Device::new(index, *server, model::inventory(scale, &mut random));
        let devices = tree.devices.iter().enumerate().map(device).collect();
        let parties = Parties { servers, devices, providers, publications };
        Self { scale, options, ..Self::new(setup, random, parties) }
    }

    /// Nothing has happened, and nothing is about to.
    pub(super) fn new(setup: Setup, random: Random, parties: Parties) -> Self {
        let Parties { servers, devices, providers, publications } = parties;
        Self {
            setup,
            scale: Scale::default(),
            options: Options::default(),
            now: 0,
            sequence: 0,
            happenings: BTreeMap::new(),
            random,
            network: Network::default(),
            servers,
            devices,
            providers,
            publications,
            traffic: Traffic::default(),
            busy: BTreeSet::new(),
            next_id: 1,
            steps: 0,
        }
    }

    fn begin(&mut self) -> Result<(), String> {
        for index in 0..self.servers.len() {
            self.starts(Node::Server(index))?;
        }
        for index in 0..self.devices.len() {
            // Some join when much has happened.
            let late = self.options.shape == Shape::Tree && self.random.one_in(5);
            let at = if late { self.setup.instant(&mut self.random) } else { self.random.below(3_000) };
            self.after(at, Happening::Starts(Node::Device(index)));
        }
        for index in 0..self.providers.len() {
            let at = self.random.below(3_000);
            self.after(at, Happening::Dial(Party::Provider(index)));
            for _ in 0..self.providers[index].publications() {
                let at = self.setup.instant(&mut self.random);
                self.after(at, Happening::Release(index));
            }
        }
        for _ in 0..self.faults() {
            let at = self.setup.instant(&mut self.random);
            self.after(at, Happening::Fault);
        }
        if self.setup.fills_up {
            let at = self.setup.instant(&mut self.random);
            let server = self.random.below(self.servers.len() as u64) as usize;
            self.after(at, Happening::DiskFillsUp(server));
        }
        self.drain()
    }

    /// Whatever happens, until nothing does or it is over.
    pub(super) fn go_on(&mut self) -> Result<(), String> {
        while let Some(((at, _), happening)) = self.happenings.pop_first() {
            if at > self.setup.end {
                break;
            }
            self.now = at;
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(format!("does not come to rest: {happening:?}"));
            }
            self.happen(happening)?;
        }
        Ok(())
    }

    pub(super) fn time(&self) -> Time {
        Time(BEGIN + self.now)
    }

    pub(super) fn after(&mut self, wait: u64, happening: Happening) {
        self.sequence += 1;
        self.happenings.insert((self.now + wait, self.sequence), happening);
    }

    /// Later, if the server lives on until then.
    pub(super) fn after_at(&mut self, wait: u64, server: usize, happening: AtServer) {
        let life = self.servers[server].life;
        self.after(wait, Happening::AtServer(server, life, happening));
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrives(link, message) => self.arrives(link, message)?,
            Happening::AtServer(server, life, happening) => {
                // Else it is of an earlier life.
                if life == self.servers[server].life && self.servers[server].live.is_some() {
                    self.at_server(server, happening);
                }
            }
            Happening::DeviceSynced(index, life) => {
                if life == self.devices[index].life {
                    let time = self.time();
                    self.devices[index].sync(time);
                    self.busy.insert(Machine::Device(index));
                }
            }
            Happening::Dial(party) => self.dial(party),
            Happening::SeesDown(party, link) => self.party_sees_down(party, link),
            Happening::Starts(node) => self.starts(node)?,
            Happening::Heals(parties) => parties.into_iter().for_each(|party| self.network.heal(party)),
            Happening::Fault => self.fault(),
            Happening::Release(index) => {
                self.providers[index].release();
                self.busy.insert(Machine::Provider(index));
            }
            Happening::ProviderGoesOn(index) => {
                self.providers[index].waits = false;
                self.busy.insert(Machine::Provider(index));
            }
            Happening::DiskFillsUp(server) => self.servers[server].disk.full = true,
            Happening::Attach(server, upper, config) => self.attach(server, upper, *config),
            Happening::Ends(node) => self.ends(node),
            Happening::Blocks(parties) => self.block(&parties),
            Happening::Moves(server, upstreams) => self.moves(server, upstreams)?,
        }
        self.drain()
    }

    fn at_server(&mut self, server: usize, happening: AtServer) {
        let time = self.time();
        match happening {
            AtServer::Synced(ticket) => self.server_synced(server, ticket),
            AtServer::Flushed(ticket) => self.servers[server].disk.flush(ticket),
            AtServer::Ready(link, class) => self.tell_shard_of(server, link, shard::Event::Ready(link, class)),
            AtServer::Timer => {
                if let Some(live) = &mut self.servers[server].live {
                    live.timer = live.timer.filter(|at| *at > self.now);
                    live.engine.handle_timeout(time);
                    live.shards.iter_mut().for_each(|shard| shard.handle_timeout(time));
                    self.busy.insert(Machine::Server(server));
                }
            }
            AtServer::SeesDown(link) => self.tell_engine(server, engine::Event::LinkDown(link)),
            AtServer::Restarts => self.crash_server(server),
            AtServer::AnswerGoesOn(reply, after) => self.answer_goes_on(server, reply, after),
        }
    }

    pub(super) fn tell_engine(&mut self, server: usize, event: engine::Event) {
        let time = self.time();
        if let Some(live) = &mut self.servers[server].live {
            live.engine.handle(time, event);
            self.busy.insert(Machine::Server(server));
        }
    }

    pub(super) fn tell_shard(&mut self, server: usize, shard: usize, event: shard::Event) {
        let time = self.time();
        if let Some(shard) = self.servers[server].live.as_mut().and_then(|live| live.shards.get_mut(shard)) {
            shard.handle(time, event);
            self.busy.insert(Machine::Server(server));
        }
    }

    /// The shard that owns a link.
    pub(super) fn tell_shard_of(&mut self, server: usize, link: LinkId, event: shard::Event) {
        if let Some(shard) = self.servers[server].engine().map(|engine| engine.shard_of(link)) {
            self.tell_shard(server, shard, event);
        }
    }

    pub(super) fn tell_device(&mut self, index: usize, event: client::Event) {
        let time = self.time();
        self.devices[index].handle(time, event);
        self.busy.insert(Machine::Device(index));
    }
}

fn servers(tree: &Tree, scale: Scale, options: Options, random: &mut Random) -> Vec<Server> {
    let policy = Policy {
        providers: (0..tree.roots).map(provider::guid_of).collect(),
        local_servers: (0..tree.above.len()).map(client_of).collect(),
        ..Policy::default()
    };
    let calm = options.calm.then(|| tree::ask(random));
    let server = |(index, uppers): (usize, &BTreeSet<usize>)| {
        let deliveries = scale.deliveries;
        let rules = match index < tree.roots {
            true => Rules::of_root(deliveries, options, random),
            false => Rules::of_local(deliveries, options, random),
        };
        let disk = Disk::new(u128::from(random.next_u64()), options.lies);
        let mut server = Server::new(index, rules, policy.clone(), disk);
        for upper in uppers {
            server.upstreams.insert(*upper, tree::edge(index, *upper, calm, random));
        }
        server
    };
    tree.above.iter().enumerate().map(server).collect()
}
