//! Virtual time: what happens when, and to whom.

use std::collections::BTreeMap;

use node::engine::{self, ReplyTo};
use node::ids::{LinkId, Position, Ticket, Time};
use node::shard;
use node::store::Write;
use schemas::digest::Digest;
use schemas::guid::ServerGuid;

use super::Size;
use super::device::Device;
use super::disk::Disk;
use super::model;
use super::network::{Message, Network, Way};
use super::provider::Provider;
use super::server::{Live, Server};
use super::setup::Setup;
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

/// Virtual time begins here.
pub(super) const BEGIN: u64 = 1_700_000_000_000;

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
    DiskFillsUp,
    OperatorRestarts(u64),
    ProviderGoesOn,
    AnswerGoesOn(u64, Box<ReplyTo>, Position),
}

pub(super) struct World {
    pub(super) setup: Setup,
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
    /// Of each advisory the newest publication that was trimmed while nothing had replaced it.
    pub(super) trimmed: BTreeMap<u64, usize>,
    /// Since when items have been replaced or trimmed.
    pub(super) gone: BTreeMap<Digest, Time>,
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
        if at > world.setup.end() {
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
        let setup = Setup::draw(options.size.deliveries, &mut random);
        let guid = ServerGuid(0x5e00);
        let publications = model::publications(options.size.deliveries, &mut random);
        let provider = Provider::new(publications.clone());
        let disk = Disk::new(u128::from(random.next_u64()), options.lies);
        let devices = (0..options.size.devices).map(|index| Device::new(index, guid, &mut random)).collect();
        Self {
            setup,
            now: 0,
            sequence: 0,
            happenings: BTreeMap::new(),
            server: Server::new(guid, provider.guid, setup, disk),
            random,
            network: Network::default(),
            devices,
            provider,
            publications,
            trimmed: BTreeMap::new(),
            gone: BTreeMap::new(),
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
            let at = self.setup.instant(&mut self.random);
            self.after(at, Happening::Release);
        }
        for _ in 0..size.faults {
            let at = self.setup.instant(&mut self.random);
            self.after(at, Happening::Fault);
        }
        if self.setup.fills_up {
            let at = self.setup.instant(&mut self.random);
            self.after(at, Happening::DiskFillsUp);
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
                if let Some(shard) = self.server.live.as_ref().map(|live| live.engine.shard_of(link)) {
                    self.tell_shard(shard, shard::Event::Ready(link));
                }
            }
            Happening::ServerTimer(life) if life == self.server.life => {
                if let Some(live) = &mut self.server.live {
                    live.engine.handle_timeout(time);
                    live.shards.iter_mut().for_each(|shard| shard.handle_timeout(time));
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
            Happening::DiskFillsUp => self.server.disk.full = true,
            Happening::OperatorRestarts(life) if life == self.server.life => self.crash_server(),
            Happening::ProviderGoesOn => self.provider.waits = false,
            Happening::AnswerGoesOn(life, reply, after) if life == self.server.life => {
                self.answer_goes_on(reply, after);
            }
            // Of an earlier life.
            Happening::ServerSynced(..)
            | Happening::ServerFlushed(..)
            | Happening::Ready(..)
            | Happening::ServerTimer(..)
            | Happening::ServerSeesDown(..)
            | Happening::OperatorRestarts(_)
            | Happening::AnswerGoesOn(..)
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

    pub(super) fn tell_shard(&mut self, shard: usize, event: shard::Event) {
        let time = self.time();
        if let Some(shard) = self.server.live.as_mut().and_then(|live| live.shards.get_mut(shard)) {
            shard.handle(time, event);
        }
    }

    /// Remembers what is no longer on offer, and since when.
    pub(super) fn note_gone(&mut self, writes: &[Write]) {
        let time = self.time();
        for write in writes {
            match write {
                Write::Append { item, .. } => {
                    let digest = Digest::of(item);
                    let newer = self.publications.iter().position(|one| one.digest == digest).unwrap_or_default();
                    let advisory = self.publications[newer].advisory;
                    let older = self.publications[..newer].iter().filter(|one| one.advisory == advisory);
                    older.for_each(|one| _ = self.gone.entry(one.digest).or_insert(time));
                }
                Write::Trim { below } => self.note_trimmed(*below),
                Write::Put { .. } | Write::Delete { .. } => {}
            }
        }
    }

    /// A retraction that is published after what it replaces was trimmed concerns whom it concerns itself: nobody knows
    /// any more who may hold that.
    fn note_trimmed(&mut self, below: u64) {
        let time = self.time();
        let mut newest: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
        for (index, one) in self.publications.iter().enumerate() {
            let Some(place) = self.server.disk.place_of(one.digest) else { continue };
            newest.insert(one.advisory, (index, place));
            if place < below {
                self.gone.entry(one.digest).or_insert(time);
            }
        }
        let trimmed = newest.into_iter().filter(|(_, (_, place))| *place < below);
        self.trimmed.extend(trimmed.map(|(advisory, (index, _))| (advisory, index)));
    }

    /// Carries out everything that any machine wants done.
    fn drain(&mut self) -> Result<(), String> {
        loop {
            let mut quiet = true;
            while let Some(action) = self.server.live.as_mut().and_then(|live| live.engine.poll_action()) {
                quiet = false;
                self.engine_action(action);
            }
            for shard in 0..self.setup.shards {
                let poll = |live: &mut Live| live.shards.get_mut(shard)?.poll_action();
                while let Some(action) = self.server.live.as_mut().and_then(poll) {
                    quiet = false;
                    self.shard_action(shard, action)?;
                }
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
        self.set_timer();
        Ok(())
    }

    fn set_timer(&mut self) {
        let Some(live) = &self.server.live else { return };
        let shards = live.shards.iter().filter_map(shard::Shard::poll_timeout);
        let first = shards.chain([live.engine.poll_timeout()]).map(|(at, _)| at.0).min().unwrap_or_default();
        let wait = first.saturating_sub(BEGIN + self.now).max(1);
        let (due, life) = (self.now + wait, self.server.life);
        // One timer for each moment is enough.
        let set = |happening: &Happening| matches!(happening, Happening::ServerTimer(of) if *of == life);
        if !self.happenings.range((due, 0)..(due + 1, 0)).any(|(_, happening)| set(happening)) {
            self.after(wait, Happening::ServerTimer(life));
        }
    }
}
