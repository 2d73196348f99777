//! A server: engine and shards on a disk, and what is configured above it.

use std::collections::BTreeMap;

use node::engine::Engine;
use node::ids::{LinkId, Ticket, Time};
use node::policy::Policy;
use node::shard::Shard;
use node::uplink;
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::mark::Mark;

use super::disk::Disk;
use super::setup::Rules;
use crate::faults::Random;

const SERVERS: u128 = 0x5e00_0000;
const AS_CLIENTS: u128 = 0xc11e_0000;

/// The GUID of the server at this place.
pub(super) fn guid_of(index: usize) -> ServerGuid {
    ServerGuid(SERVERS + index as u128)
}

/// The place of the server with this GUID.
pub(super) fn index_of(guid: ServerGuid) -> usize {
    usize::try_from(guid.0 - SERVERS).expect("a server's GUID is its place in the list")
}

/// Who the server at this place is towards what stands above it.
pub(super) fn client_of(index: usize) -> ClientGuid {
    ClientGuid(AS_CLIENTS + index as u128)
}

/// A server, up or down.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) guid: ServerGuid,
    pub(super) rules: Rules,
    policy: Policy,
    /// As its operator has configured it, by the place of who is above.
    pub(super) upstreams: BTreeMap<usize, uplink::Config>,
    /// Whether that was ever otherwise.
    pub(super) rearranged: bool,
    /// `None` while it is down.
    pub(super) live: Option<Live>,
    pub(super) disk: Disk,
    /// Counts lives, so that what belongs to an earlier one is known.
    pub(super) life: u64,
    /// Since when items have been replaced or trimmed here.
    pub(super) gone: BTreeMap<Digest, Time>,
    /// Of each advisory the newest publication that was trimmed here while nothing had replaced it.
    pub(super) trimmed: BTreeMap<u64, usize>,
}

/// The machines of a server that runs.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) engine: Engine,
    pub(super) shards: Vec<Shard>,
    /// Its links upwards.
    pub(super) uplinks: BTreeMap<usize, Dialled>,
    /// The newest ticket that was written.
    pub(super) written: Ticket,
    /// A sync is under way.
    pub(super) syncing: bool,
    /// The newest ticket that was reported.
    pub(super) reported: Ticket,
    /// A sync was refused: so is everything after it.
    pub(super) refuses: bool,
    /// When it is to be woken.
    pub(super) timer: Option<u64>,
}

/// One link upwards, or the attempts to have one.
#[derive(Debug, Default)]
pub(super) struct Dialled {
    pub(super) link: Option<LinkId>,
    /// Since when it stands.
    pub(super) since: u64,
    /// Attempts that came to nothing, and links that did not last.
    pub(super) failures: u32,
}

impl Server {
    pub(super) fn new(index: usize, rules: Rules, policy: Policy, disk: Disk) -> Self {
        Self {
            guid: guid_of(index),
            rules,
            policy,
            upstreams: BTreeMap::new(),
            rearranged: false,
            live: None,
            disk,
            life: 0,
            gone: BTreeMap::new(),
            trimmed: BTreeMap::new(),
        }
    }

    /// How others see it on their way to the top.
    pub(super) fn mark(&self) -> Mark {
        Mark::of(self.guid.0)
    }

    /// Starts on what the disk holds.
    pub(super) fn start(&mut self, now: Time, random: &mut Random) -> Result<(), String> {
        self.life += 1;
        let mut config = self.rules.config(self.guid, random);
        config.mark = self.mark();
        config.upstreams = self.upstreams.values().cloned().collect();
        let Rules { combine, full_of_everything, .. } = self.rules;
        let policy = Policy { combine, full_of_everything, ..self.policy.clone() };
        let engine =
            Engine::recover(config, policy, self.disk.recovered(), now).map_err(|damaged| damaged.to_string())?;
        let bounds = self.rules.windows(random);
        let shards = (0..self.rules.shards).map(|_| Shard::new(bounds)).collect();
        self.live = Some(Live {
            engine,
            shards,
            uplinks: self.upstreams.keys().map(|upper| (*upper, Dialled::default())).collect(),
            written: Ticket(0),
            syncing: false,
            reported: Ticket(0),
            refuses: false,
            timer: None,
        });
        Ok(())
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        self.live = None;
        self.disk.crash(random);
    }

    /// The next write that a sync has made durable, or not.
    pub(super) fn next_to_report(&mut self, through: Ticket) -> Option<Ticket> {
        let live = self.live.as_mut().filter(|live| live.reported < through)?;
        live.reported = Ticket(live.reported.0 + 1);
        Some(live.reported)
    }

    /// The engine, if it is up.
    pub(super) fn engine(&self) -> Option<&Engine> {
        self.live.as_ref().map(|live| &live.engine)
    }

    /// Where its link to this upstream is, if it has one.
    pub(super) fn link_to(&self, upper: usize) -> Option<LinkId> {
        self.live.as_ref()?.uplinks.get(&upper)?.link
    }
}
