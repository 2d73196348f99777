//! All servers of a run: the one at the top, at which providers are, and tiers of local servers below it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::ensure;
use schemas::guid::ServerGuid;
use serde::{Deserialize, Serialize};

use crate::people::{Authority, guid};
use crate::plan::{Clients, Plan};
use crate::sample::{self, Usage, usage};
use crate::server::{self, Place, Policy, Server, Upstream};

/// What the tier of the server at the top is called.
pub const TOP: &str = "top";
/// Local servers that one run may start: each is a process with a store.
pub const SERVERS_MAX: usize = 100;

/// Local servers that are alike. The first tier of a plan is below the top, each further one below the one before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// For people, and for groups of clients that are here.
    pub name: String,
    /// How many there are in the whole tier; those above get them in turn.
    pub servers: usize,
    /// The core on which all of them run; any, if not given.
    #[serde(default)]
    pub core: Option<usize>,
    /// Whose servers they are for those above.
    #[serde(default)]
    pub realm: Realm,
    /// What they ask those above for.
    #[serde(default)]
    pub ask: Ask,
}

/// As in a server's `upstream.realm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Realm {
    /// Their own: messages of clients are passed on.
    #[default]
    Same,
    /// Somebody else's.
    Foreign,
}

/// As in a server's `upstream.ask`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// All that there is.
    Everything,
    /// What clients below have named.
    #[default]
    Names,
    /// The catalogue, and then what concerns somebody below.
    Elements,
}

/// Checks the tiers of a plan.
///
/// # Errors
/// Says what makes no sense, and what would.
pub fn check(tiers: &[Tier]) -> anyhow::Result<()> {
    let servers: usize = tiers.iter().map(|tier| tier.servers).fold(0, usize::saturating_add);
    ensure!(servers <= SERVERS_MAX, "{servers} local servers: {SERVERS_MAX} at most");
    for (number, tier) in tiers.iter().enumerate() {
        ensure!(tier.servers > 0, "tier {:?} needs servers, at least 1", tier.name);
        let is_known = tier.name == TOP || tiers[..number].iter().any(|other| other.name == tier.name);
        ensure!(!is_known, "two tiers are called {:?}; the server at the top is {TOP:?}", tier.name);
    }
    Ok(())
}

/// See the module. There is one at the top, and at least one in each tier.
#[derive(Debug)]
pub struct Servers(Vec<Vec<Server>>);

impl Servers {
    /// Those of a plan, with their files in `folder`; `program` is run for those that have to be started.
    ///
    /// # Errors
    /// One cannot be started or found; says what it wrote.
    pub fn of(plan: &Plan, folder: &Path, program: &Path) -> anyhow::Result<Self> {
        let people = folder.join("people");
        if let Some(there) = Server::there(plan, &people)? {
            return Ok(Self(vec![vec![there]]));
        }
        let authority = Authority::open(&folder.join("pki"), &people)?;
        let top = Place {
            name: "server".to_owned(),
            guid: guid(&plan.name, "server", 0),
            core: plan.server.core,
            host: plan.server.host.unwrap_or(LOOPBACK),
            namespace: plan.server.namespace.as_deref(),
            congestion: plan.server.congestion.as_deref(),
            policy: Policy { providers: server::providers(plan), local_servers: below(plan, 0) },
            upstream: Vec::new(),
        };
        let mut servers = Self(vec![vec![Server::start(&authority, folder, program, &top)?]]);
        for number in 0..plan.tier.len() {
            let above = &servers.0[number];
            let places = places(plan, number, above);
            let started = places.iter().map(|place| Server::start(&authority, folder, program, place));
            servers.0.push(started.collect::<anyhow::Result<_>>()?);
        }
        Ok(servers)
    }

    /// Where providers are.
    pub fn top(&self) -> &Server {
        &self.0[0][0]
    }

    /// Where this client of a group is, as a number of tier and a place in it: its group's tier has them in turn.
    pub fn place_of(&self, plan: &Plan, group: &Clients, number: usize) -> (usize, usize) {
        let tier = plan.tier_of(group);
        (tier, number % self.0[tier].len())
    }

    /// All of them, tier by tier.
    pub fn tiers(&self) -> &[Vec<Server>] {
        &self.0
    }

    /// What each tier has taken so far, if its processes are known.
    pub fn usage(&self) -> Vec<Option<Usage>> {
        self.0.iter().map(|tier| tier.iter().map(|server| usage(server.pid)).sum()).collect()
    }

    /// What each tier's sockets towards what is below carried: out, in.
    pub fn wire(&self) -> Vec<Option<(u64, u64)>> {
        let tiers = self.0.iter().map(|tier| {
            tier.iter().map(sample::wire).try_fold((0, 0), |sum, one| one.map(|one| (sum.0 + one.0, sum.1 + one.1)))
        });
        tiers.collect()
    }

    /// Fails if one has ended.
    ///
    /// # Errors
    /// Says how it ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.0.iter_mut().flatten().try_for_each(Server::check)
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The servers of a tier that are to be started below those above.
fn places<'a>(plan: &'a Plan, number: usize, above: &[Server]) -> Vec<Place<'a>> {
    let tier = &plan.tier[number];
    let place = |index: usize| {
        let above = &above[index % above.len()];
        // A foreign server waits before it asks, so that nobody can tell who came: that would be measured as its latency.
        let upstream = Upstream {
            address: above.address,
            guid: above.guid.to_string(),
            realm: tier.realm,
            ask: tier.ask,
            delay_seconds: 0,
        };
        Place {
            name: format!("tier-{}-{index}", number + 1),
            guid: local_server(plan, number, index),
            core: tier.core,
            host: LOOPBACK,
            namespace: None,
            congestion: plan.server.congestion.as_deref(),
            policy: Policy { providers: Vec::new(), local_servers: below(plan, number + 1) },
            upstream: vec![upstream],
        }
    };
    (0..tier.servers).map(place).collect()
}

/// The local servers of this tier that may pass on what clients below them say.
fn below(plan: &Plan, number: usize) -> Vec<String> {
    let tier = plan.tier.get(number).filter(|tier| tier.realm == Realm::Same);
    let servers = (0..tier.map_or(0, |tier| tier.servers)).map(|index| ServerGuid(local_server(plan, number, index)));
    servers.map(|guid| guid.to_string()).collect()
}

fn local_server(plan: &Plan, tier: usize, index: usize) -> u128 {
    guid(&plan.name, &format!("tier {tier}"), index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(name: &str, servers: usize) -> Tier {
        Tier { name: name.to_owned(), servers, core: None, realm: Realm::Same, ask: Ask::Names }
    }

    #[test]
    fn tiers_that_make_no_sense_are_refused() {
        check(&[]).unwrap();
        check(&[tier("isp", 2), tier("site", 98)]).unwrap();
        for (tiers, says) in [
            (vec![tier("isp", 0)], "at least 1"),
            (vec![tier("isp", 50), tier("site", 51)], "100 at most"),
            (vec![tier("isp", 1), tier("isp", 1)], "two tiers"),
            (vec![tier("top", 1)], "at the top"),
        ] {
            let error = check(&tiers).expect_err(says).to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }
}
