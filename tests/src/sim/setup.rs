//! What a seed varies beside instants: bounds that are met early, a night between two days, a disk that fills up.

use std::time::Duration;

use node::engine::Config;
use schemas::guid::ServerGuid;

use crate::faults::Random;

/// Publications and faults stop here; what follows is rest.
const DAY: u64 = 20_000;
/// When the second day begins, where there is one: shortly before the hourly sweep of a server that started with the run.
const MORNING: u64 = 3_600_000 - 5_000;
/// What a run may take from the last fault to its rest.
const REST: u64 = 100_000;

/// See the module. All times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Shards that own the links.
    pub(super) shards: usize,
    /// Items kept on offer; fewer than are published in one seed of three.
    items_max: usize,
    /// Whether half of everything happens an hour later, when leases and remembered exchanges are over.
    two_days: bool,
    /// Whether the server's disk is full once.
    pub(super) fills_up: bool,
}

impl Setup {
    pub(super) fn draw(deliveries: usize, random: &mut Random) -> Self {
        Self {
            shards: 1 + random.below(2) as usize,
            items_max: if random.one_in(3) { 1 + random.below(deliveries as u64) as usize } else { 1_000_000 },
            two_days: random.one_in(4),
            fills_up: random.one_in(4),
        }
    }

    /// When something happens.
    pub(super) fn instant(self, random: &mut Random) -> u64 {
        let at = random.below(DAY);
        if self.two_days && random.one_in(2) { MORNING + at } else { at }
    }

    /// By now everything must have come to rest.
    pub(super) fn end(self) -> u64 {
        if self.two_days { MORNING + DAY + REST } else { DAY + REST }
    }

    /// Of a server that starts now.
    pub(super) fn config(self, server: ServerGuid, random: &mut Random) -> Config {
        const HALF_AN_HOUR: Duration = Duration::from_secs(1800);
        Config {
            shards: self.shards,
            items_max: self.items_max,
            seen_for: HALF_AN_HOUR,
            lease: HALF_AN_HOUR,
            stretch_items: 1 + random.below(4) as usize,
            ..Config::new(server)
        }
    }
}
