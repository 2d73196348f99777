//! Trees as seeds draw them: who stands above whom, who asks how, where devices and providers are.

use std::collections::BTreeSet;
use std::time::Duration;

use node::uplink::{Ask, Config, Realm};
use topology::want::Granularity;

use super::server::{client_of, guid_of};
use super::{Options, Shape};
use crate::faults::Random;

/// Tiers of servers at the beginning.
const TIERS_MAX: usize = 6;

/// Where everybody is at the beginning.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// For each server who stands above it, by place: always earlier ones.
    pub(super) above: Vec<BTreeSet<usize>>,
    /// The servers that have a provider each: the first ones.
    pub(super) roots: usize,
    /// For each device its server.
    pub(super) devices: Vec<usize>,
}

impl Tree {
    pub(super) fn draw(options: Options, random: &mut Random) -> Self {
        match options.shape {
            Shape::One => Self { above: vec![BTreeSet::new()], roots: 1, devices: vec![0; 12] },
            Shape::Tree => Self::of(nodes(random), random),
        }
    }

    fn of(nodes: usize, random: &mut Random) -> Self {
        let servers = 1 + random.below(nodes as u64 / 2) as usize;
        let servers = servers.min(1 + random.below(60) as usize);
        let roots = if servers > 2 && random.one_in(3) { 2 } else { 1 };
        let (mut above, mut tiers) = (vec![BTreeSet::new(); roots], vec![1; roots]);
        // Chains in some trees, bushes in others.
        let chains = 1 + random.below(6);
        for index in roots..servers {
            let first = if random.one_in(chains) { index - 1 } else { random.below(index as u64) as usize };
            let first = if tiers[first] < TIERS_MAX { first } else { random.below(roots as u64) as usize };
            let mut uppers = BTreeSet::from([first]);
            if random.one_in(6) || (roots == 2 && index == 2) {
                uppers.extend((0..index).rev().find(|other| *other != first && tiers[*other] <= tiers[first]));
            }
            above.push(uppers);
            tiers.push(tiers[first] + 1);
        }
        let devices = (servers..nodes).map(|_| random.below(servers as u64) as usize).collect();
        Self { above, roots, devices }
    }
}

/// Mostly few, so that seeds make the variety; one tree in fifty is as large as they get.
fn nodes(random: &mut Random) -> usize {
    let (least, span) = match random.below(100) {
        0..=54 => (1, 25),
        55..=84 => (15, 45),
        85..=93 => (50, 70),
        94..=97 => (120, 80),
        _ => (200, 1),
    };
    least + random.below(span) as usize
}

/// How a server asks an upstream. In calm trees all ask for the same: who is asked for a component and for an element of
/// it, one after the other, sends that element twice.
pub(super) fn edge(server: usize, upper: usize, calm: Option<Ask>, random: &mut Random) -> Config {
    let realm = if random.one_in(3) { Realm::Foreign } else { Realm::Same };
    let ask = calm.unwrap_or_else(|| ask(random));
    let granularity = match random.below(3) {
        _ if realm == Realm::Same || ask != Ask::Names => Granularity::Product,
        0 => Granularity::Vendor,
        // Who is asked for another version sends again what concerns both.
        1 if calm.is_none() => Granularity::Version,
        _ => Granularity::Product,
    };
    let delay = if realm == Realm::Foreign && random.one_in(2) { random.below(2_000) } else { 0 };
    let hold = random.below(6_000);
    Config {
        server: guid_of(upper),
        client: client_of(server),
        realm,
        ask,
        granularity,
        registrants_min: 1 + random.below(3) as usize,
        delay_max: Duration::from_millis(delay),
        hold: Duration::from_millis(hold),
    }
}

/// What an upstream is asked for.
pub(super) fn ask(random: &mut Random) -> Ask {
    match random.below(5) {
        0 => Ask::Everything,
        1 => Ask::Elements,
        _ => Ask::Names,
    }
}
