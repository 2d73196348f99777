//! What a seed varies beside instants: bounds that are met early, a night between two days, a disk that fills up.

use std::time::Duration;

use node::engine::Config;
use node::policy::Policy;
use node::shard;
use relay::config;
use schemas::guid::ServerGuid;

use super::{Options, Shape};
use crate::faults::Random;

/// Publications and faults stop here; what follows is rest.
const DAY: u64 = 20_000;
/// When the second day begins, where there is one: shortly before the hourly sweep of a server that started with the run.
const MORNING: u64 = 3_600_000 - 5_000;
/// What a run may take from the last fault to its rest.
const REST: u64 = 100_000;

/// When things happen. All times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Whether half of everything happens an hour later, when leases and remembered exchanges are over.
    two_days: bool,
    /// Whether a server's disk is full once.
    pub(super) fills_up: bool,
    /// Whether nothing goes wrong, and nothing changes.
    pub(super) calm: bool,
    /// By now everything must have come to rest.
    pub(super) end: u64,
}

impl Setup {
    pub(super) fn draw(options: Options, random: &mut Random) -> Self {
        let (two_days, fills_up) = (random.one_in(4), random.one_in(4));
        let two_days = two_days && !options.calm;
        let day = if two_days { MORNING + DAY } else { DAY };
        Self { two_days, fills_up: fills_up && !options.calm, calm: options.calm, end: day + REST }
    }

    /// Things happen as they are written down, for so long.
    pub(super) fn of_length(length: Duration, calm: bool) -> Self {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX - REST);
        Self { two_days: false, fills_up: false, calm, end: length + REST }
    }

    /// When something happens.
    pub(super) fn instant(self, random: &mut Random) -> u64 {
        let at = random.below(DAY);
        if self.two_days && random.one_in(2) { MORNING + at } else { at }
    }
}

/// What one server is like.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Shards that own the links.
    pub(super) shards: usize,
    /// Items kept on offer.
    items_max: usize,
    /// How long what passes through is kept at least.
    transit: Duration,
    /// How long a Request may wait for what stands above.
    pub(super) combine: Duration,
    /// Whether everything may be asked for in full.
    pub(super) full_of_everything: bool,
    /// Whether its Hello says so.
    pub(super) says_policy: bool,
    /// What a server is really run with, if it is: else bounds are small, so that they are met.
    configured: Option<config::Config>,
}

/// A longer item is bulk: small, so that many are.
pub(super) const SMALL_BYTES_MAX: usize = 2_000;

/// Everything is kept.
const NO_BOUND: usize = 1_000_000;

impl Rules {
    /// Of a server that has providers. Fewer items are kept than are published in one run of three.
    pub(super) fn of_root(deliveries: usize, options: Options, random: &mut Random) -> Self {
        let trims = random.one_in(if options.shape == Shape::One { 3 } else { 5 }) && !options.calm;
        Self {
            shards: 1 + random.below(2) as usize,
            items_max: if trims { 1 + random.below(deliveries as u64) as usize } else { NO_BOUND },
            transit: Duration::ZERO,
            combine: Policy::default().combine,
            full_of_everything: options.calm || !random.one_in(8),
            says_policy: !random.one_in(4),
            configured: None,
        }
    }

    /// Of a server that is configured so.
    pub(super) fn of_config(config: config::Config) -> Self {
        let Policy { combine, full_of_everything, .. } = config.policy();
        Self {
            shards: 1,
            items_max: config.limits.items_max,
            transit: config.transit(),
            combine,
            full_of_everything,
            says_policy: true,
            configured: Some(config),
        }
    }

    /// Of a local server: one in four keeps little or nothing.
    pub(super) fn of_local(deliveries: usize, options: Options, random: &mut Random) -> Self {
        let root = Self::of_root(deliveries, options, random);
        let (items_max, transit) = match random.below(8) {
            _ if options.calm => (NO_BOUND, 0),
            0 => (0, 4_000 + random.below(8_000)),
            1 => (1 + random.below(10) as usize, 4_000 + random.below(4_000)),
            _ => (NO_BOUND, 0),
        };
        let combine = if random.one_in(3) { 0 } else { random.below(2_000) };
        Self { items_max, transit: Duration::from_millis(transit), combine: Duration::from_millis(combine), ..root }
    }

    /// Whether it forgets what it had on offer.
    pub(super) fn trims(&self) -> bool {
        self.items_max < NO_BOUND
    }

    /// Of a server that starts now.
    pub(super) fn config(&self, server: ServerGuid, random: &mut Random) -> Config {
        const HALF_AN_HOUR: Duration = Duration::from_secs(1800);
        if let Some(config) = &self.configured {
            return config.engine(server, Vec::new(), random.next_u64());
        }
        Config {
            shards: self.shards,
            items_max: self.items_max,
            transit: self.transit,
            seen_for: HALF_AN_HOUR,
            lease: HALF_AN_HOUR,
            stretch_items: 1 + random.below(4) as usize,
            small_bytes_max: SMALL_BYTES_MAX,
            entropy: random.next_u64(),
            ..Config::new(server)
        }
    }

    /// Windows of its shards.
    pub(super) fn windows(&self, random: &mut Random) -> shard::Config {
        if self.configured.is_some() {
            return shard::Config::default();
        }
        shard::Config {
            window_items_max: 1 + random.below(6) as usize,
            queue_items_max: 1 + random.below(4) as usize,
            ..shard::Config::default()
        }
    }
}
