//! Virtual time: what happens when, and to whom.

use std::collections::BTreeMap;

use bytes::Bytes;
use node::client::{self, Via};
use node::engine;
use node::ids::{LinkId, Ticket, Time};
use node::intake::Intake;
use node::{answer, shard};
use schemas::core::{ReplyPayload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::guid::ServerGuid;
use schemas::limits::Limits;

use super::Size;
use super::device::Device;
use super::disk::Disk;
use super::model;
use super::network::{Message, Network, Way};
use super::provider::Provider;
use super::server::Server;
use crate::faults::Random;

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much happens.
    pub size: Size,
    /// The server's disk acknowledges before it syncs: to show that the checks notice.
    pub lies: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Events that happened.
    pub steps: u64,
    /// Virtual milliseconds.
    pub elapsed: u64,
    /// Journal entries of all devices.
    pub entries: usize,
}

/// Faults stop here; what follows is rest.
const FAULTS_END: u64 = 20_000;
/// By now everything must have come to rest.
const END: u64 = 120_000;
const BEGIN: u64 = 1_700_000_000_000;

/// What can happen.
#[derive(Debug)]
pub(super) enum Happening {
    Arrives(LinkId, Message),
    ServerSynced(u64, Ticket),
    ServerFlushed(u64, Ticket),
    DeviceSynced(usize, u64),
    Ready(u64, LinkId),
    ServerTimer(u64),
    Release,
    Dial(usize),
    ServerSeesDown(u64, LinkId),
    PartySeesDown(usize, LinkId),
    ServerStarts,
    DeviceStarts(usize),
    Heals(usize),
    Fault,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) sequence: u64,
    pub(super) happenings: BTreeMap<(u64, u64), Happening>,
    pub(super) random: Random,
    pub(super) network: Network,
    pub(super) server: Server,
    /// Devices, then the provider.
    pub(super) devices: Vec<Device>,
    pub(super) provider: Provider,
    pub(super) publications: Vec<model::Publication>,
    pub(super) next_id: u128,
    pub(super) steps: u64,
}

/// Runs one seed to its rest and checks every journal.
///
/// # Errors
/// Says what is wrong; the caller adds the seed.
pub fn run(seed: u64, options: Options) -> Result<Report, String> {
    let mut world = World::new(seed, options);
    world.begin(options.size)?;
    while let Some(((at, _), happening)) = world.happenings.pop_first() {
        if at > END {
            break;
        }
        world.now = at;
        world.steps += 1;
        world.happen(happening)?;
    }
    world.check()
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let guid = ServerGuid(0x5e00);
        let publications = model::publications(options.size.deliveries, &mut random);
        let provider = Provider::new(publications.clone());
        let disk = Disk::new(u128::from(random.next_u64()), options.lies);
        let devices = (0..options.size.devices).map(|index| Device::new(index, guid, &mut random)).collect();
        Self {
            now: 0,
            sequence: 0,
            happenings: BTreeMap::new(),
            server: Server::new(guid, provider.guid, disk),
            random,
            network: Network::default(),
            devices,
            provider,
            publications,
            next_id: 1,
            steps: 0,
        }
    }

    fn begin(&mut self, size: Size) -> Result<(), String> {
        self.server.start(self.time(), &mut self.random)?;
        for index in 0..=self.devices.len() {
            if index < self.devices.len() {
                let time = self.time();
                self.devices[index].start(time);
            }
            let at = self.random.below(3_000);
            self.after(at, Happening::Dial(index));
        }
        for _ in 0..size.deliveries {
            let at = self.random.below(FAULTS_END);
            self.after(at, Happening::Release);
        }
        for _ in 0..size.faults {
            let at = self.random.below(FAULTS_END);
            self.after(at, Happening::Fault);
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

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        let time = self.time();
        match happening {
            Happening::Arrives(link, message) => self.arrives(link, message)?,
            Happening::ServerSynced(life, ticket) if life == self.server.life => self.server_synced(ticket),
            Happening::ServerFlushed(life, ticket) if life == self.server.life => self.server.disk.flush(ticket),
            Happening::Ready(life, link) if life == self.server.life => {
                self.tell_shard(shard::Event::Ready(link));
            }
            Happening::ServerTimer(life) if life == self.server.life => {
                if let Some(live) = &mut self.server.live {
                    live.shard.handle_timeout(time);
                }
            }
            Happening::ServerSeesDown(life, link) if life == self.server.life => {
                self.tell_engine(engine::Event::LinkDown(link));
            }
            Happening::DeviceSynced(index, life) if life == self.devices[index].life => {
                self.devices[index].sync(time);
            }
            Happening::Release => self.provider.release(),
            Happening::Dial(party) => self.dial(party),
            Happening::PartySeesDown(party, link) => self.party_sees_down(party, link),
            Happening::ServerStarts => {
                if self.server.live.is_none() {
                    self.server.start(time, &mut self.random)?;
                }
            }
            Happening::DeviceStarts(index) => {
                if self.devices[index].client.is_none() {
                    self.devices[index].start(time);
                    self.after(1, Happening::Dial(index));
                }
            }
            Happening::Heals(party) => self.network.heal(party),
            Happening::Fault => self.fault(),
            // Of an earlier life.
            Happening::ServerSynced(..)
            | Happening::ServerFlushed(..)
            | Happening::Ready(..)
            | Happening::ServerTimer(..)
            | Happening::ServerSeesDown(..)
            | Happening::DeviceSynced(..) => {}
        }
        self.drain()
    }

    pub(super) fn tell_engine(&mut self, event: engine::Event) {
        let time = self.time();
        if let Some(live) = &mut self.server.live {
            live.engine.handle(time, event);
        }
    }

    pub(super) fn tell_shard(&mut self, event: shard::Event) {
        let time = self.time();
        if let Some(live) = &mut self.server.live {
            live.shard.handle(time, event);
        }
    }

    fn fault(&mut self) {
        let party = self.random.below(self.devices.len() as u64 + 1) as usize;
        match self.random.below(10) {
            0 | 1 => self.crash_server(),
            2..=4 => {
                if let Some(device) = self.devices.get_mut(party) {
                    device.crash(&mut self.random);
                    self.cut_links_of(party);
                    let wait = self.random.below(3_000);
                    self.after(wait, Happening::DeviceStarts(party));
                }
            }
            5 | 6 => self.cut_links_of(party),
            7 => {
                self.network.partition(party);
                self.cut_links_of(party);
                let wait = self.random.below(6_000);
                self.after(wait, Happening::Heals(party));
            }
            _ => {
                let time = self.time();
                if let Some(device) = self.devices.get_mut(party)
                    && device.client.is_some()
                {
                    device.change_inventory(time, &mut self.random);
                }
            }
        }
    }

    fn crash_server(&mut self) {
        self.server.crash(&mut self.random);
        for link in self.network.links() {
            if let Some(party) = self.network.cut(link) {
                let wait = self.random.below(500);
                self.after(wait, Happening::PartySeesDown(party, link));
            }
        }
        let wait = self.random.below(2_000);
        self.after(wait, Happening::ServerStarts);
    }

    /// Both ends learn of it, each in its own time: a server may see the next link before it misses the last.
    fn cut_links_of(&mut self, party: usize) {
        for link in
            self.network.links().into_iter().filter(|link| self.network.party(*link) == Some(party)).collect::<Vec<_>>()
        {
            self.network.cut(link);
            let (server, client) = (self.random.below(4_000), self.random.below(800));
            self.after(server, Happening::ServerSeesDown(self.server.life, link));
            self.after(client, Happening::PartySeesDown(party, link));
        }
    }

    fn party_sees_down(&mut self, party: usize, link: LinkId) {
        let time = self.time();
        if party == self.devices.len() {
            if self.provider.link == Some(link) {
                self.provider.disconnected();
            }
        } else if self.devices[party].link == Some(link) {
            self.devices[party].link = None;
            self.devices[party].handle(time, client::Event::Disconnected);
        }
        let wait = 20 + self.random.below(500);
        self.after(wait, Happening::Dial(party));
    }

    fn dial(&mut self, party: usize) {
        let provider = party == self.devices.len();
        let busy = if provider {
            self.provider.link.is_some()
        } else {
            self.devices[party].link.is_some() || self.devices[party].client.is_none()
        };
        if busy {
            return;
        }
        if self.server.live.is_none() || self.network.is_partitioned(party) {
            let wait = 100 + self.random.below(500);
            return self.after(wait, Happening::Dial(party));
        }
        let link = self.network.connect(party);
        let resume = if provider {
            self.provider.link = Some(link);
            None
        } else {
            self.devices[party].link = Some(link);
            self.devices[party].client.as_ref().and_then(client::Client::resume)
        };
        self.send(link, Way::Up, Message::Hello(resume));
    }

    pub(super) fn send(&mut self, link: LinkId, way: Way, message: Message) {
        if let Some(at) = self.network.arrival(self.now, link, way, &message, &mut self.random) {
            self.after(at - self.now, Happening::Arrives(link, message));
        }
    }

    fn arrives(&mut self, link: LinkId, message: Message) -> Result<(), String> {
        let Some(party) = self.network.party(link) else { return Ok(()) };
        let time = self.time();
        match message {
            Message::Hello(resume) => {
                let client = self.devices.get(party).map_or(self.provider.guid, |device| device.guid);
                self.tell_engine(engine::Event::Hello { link, client, resume });
            }
            Message::Open(exchange, document) => {
                let intake = Box::new(read(&document)?);
                self.tell_engine(engine::Event::Document { link, exchange, intake });
            }
            Message::LaneReply(position, document) => {
                let outcomes =
                    outcomes(&document)?.iter().map(|(status, _)| *status == ReplyStatus::Succeeded).collect();
                self.tell_shard(shard::Event::Answered { link, position, outcomes });
            }
            Message::Reply(exchange, document) if party == self.devices.len() => {
                for (status, _) in outcomes(&document)? {
                    self.provider.answered(exchange, &status)?;
                }
            }
            Message::Reply(exchange, document) => {
                let outcomes = outcomes(&document)?;
                self.devices[party].handle(time, client::Event::Replied { exchange, outcomes });
            }
            Message::Welcome(welcome) => {
                if party == self.devices.len() {
                    self.provider.welcome = true;
                }
                if let Some(device) = self.devices.get_mut(party) {
                    let event = client::Event::Connected { behind: welcome.behind, start: welcome.start };
                    device.handle(time, event);
                }
            }
            Message::Delivery(exchange, document) => self.delivery(party, Via::Exchange(exchange), &document)?,
            Message::Lane(position, document) => self.delivery(party, Via::Lane(position), &document)?,
            Message::End(exchange) => {
                if let Some(device) = self.devices.get_mut(party) {
                    device.handle(time, client::Event::Ended(exchange));
                }
            }
        }
        Ok(())
    }

    fn delivery(&mut self, party: usize, via: Via, document: &Bytes) -> Result<(), String> {
        let time = self.time();
        let intake = Box::new(read(document)?);
        if let Some(device) = self.devices.get_mut(party) {
            device.handle(time, client::Event::Delivery { via, intake });
        }
        Ok(())
    }

    /// Carries out everything that any machine wants done.
    fn drain(&mut self) -> Result<(), String> {
        loop {
            let mut quiet = true;
            while let Some(action) = self.server.live.as_mut().and_then(|live| live.engine.poll_action()) {
                quiet = false;
                self.engine_action(action);
            }
            while let Some(action) = self.server.live.as_mut().and_then(|live| live.shard.poll_action()) {
                quiet = false;
                self.shard_action(action)?;
            }
            for index in 0..self.devices.len() {
                while let Some(action) = self.devices[index].poll() {
                    quiet = false;
                    self.device_action(index, action)?;
                }
            }
            while let Some((exchange, document)) = self.provider.next() {
                quiet = false;
                if let Some(link) = self.provider.link {
                    self.send(link, Way::Up, Message::Open(exchange, document));
                }
            }
            if quiet {
                break;
            }
        }
        let timer = self.server.live.as_ref().and_then(|live| live.shard.poll_timeout());
        if let Some((at, _)) = timer {
            let wait = at.0.saturating_sub(BEGIN + self.now).max(1);
            let due = self.now + wait;
            let life = self.server.life;
            // One timer for each moment is enough.
            let set = |happening: &Happening| matches!(happening, Happening::ServerTimer(of) if *of == life);
            if !self.happenings.range((due, 0)..(due + 1, 0)).any(|(_, happening)| set(happening)) {
                self.after(wait, Happening::ServerTimer(life));
            }
        }
        Ok(())
    }
}

fn read(document: &Bytes) -> Result<Intake, String> {
    let facts = Validated::new(document.clone(), &Limits::default()).map_err(|refused| refused.to_string())?;
    Intake::of(&facts).ok_or_else(|| "a reply where a message belongs".into())
}

fn outcomes(document: &Bytes) -> Result<Vec<(ReplyStatus, Option<String>)>, String> {
    let facts = Validated::new(document.clone(), &Limits::default()).map_err(|refused| refused.to_string())?;
    match &facts.document().root {
        Root::Reply(reply) => {
            let mut outcomes = Vec::new();
            collect(reply, &mut outcomes);
            Ok(outcomes)
        }
        Root::Message(_) => Err("a message where a reply belongs".into()),
    }
}

fn collect(reply: &schemas::core::MessageCoreReply, outcomes: &mut Vec<(ReplyStatus, Option<String>)>) {
    match &reply.payload {
        ReplyPayload::Bundle(parts) => parts.iter().for_each(|part| collect(part, outcomes)),
        ReplyPayload::Replies(replies) => {
            outcomes.extend(replies.iter().map(|reply| (reply.status.clone(), Some(answer::description(reply)))));
        }
    }
}
