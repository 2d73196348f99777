//! The server: engine and shards on a disk.

use node::engine::Engine;
use node::ids::{Ticket, Time};
use node::policy::Policy;
use node::shard::{self, Shard};
use schemas::guid::{ClientGuid, ServerGuid};

use super::disk::Disk;
use super::setup::Setup;
use crate::faults::Random;

/// A server, up or down.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) guid: ServerGuid,
    provider: ClientGuid,
    setup: Setup,
    /// `None` while it is down.
    pub(super) live: Option<Live>,
    pub(super) disk: Disk,
    pub(super) life: u64,
}

/// The machines of a server that runs.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) engine: Engine,
    pub(super) shards: Vec<Shard>,
    /// The newest ticket that was written.
    pub(super) written: Ticket,
    /// A sync is under way.
    pub(super) syncing: bool,
    /// The newest ticket that was reported.
    pub(super) reported: Ticket,
    /// A sync was refused: so is everything after it.
    pub(super) refuses: bool,
}

impl Server {
    pub(super) fn new(guid: ServerGuid, provider: ClientGuid, setup: Setup, disk: Disk) -> Self {
        Self { guid, provider, setup, live: None, disk, life: 0 }
    }

    /// Starts on what the disk holds, with small windows, so that their bounds are met.
    pub(super) fn start(&mut self, now: Time, random: &mut Random) -> Result<(), String> {
        self.life += 1;
        let policy = Policy { providers: [self.provider].into(), ..Policy::default() };
        let config = self.setup.config(self.guid, random);
        let engine =
            Engine::recover(config, policy, self.disk.recovered(), now).map_err(|damaged| damaged.to_string())?;
        let bounds = shard::Config {
            window_items_max: 1 + random.below(6) as usize,
            queue_items_max: 1 + random.below(4) as usize,
            ..shard::Config::default()
        };
        let shards = (0..self.setup.shards).map(|_| Shard::new(bounds)).collect();
        let (written, reported) = (Ticket(0), Ticket(0));
        self.live = Some(Live { engine, shards, written, syncing: false, reported, refuses: false });
        Ok(())
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        self.live = None;
        self.disk.crash(random);
    }
}
