//! From the file to the scenario: templates written out, names turned into indices, everything checked.

use std::time::Duration;

use super::error::{Place, ScenarioError};
use super::file::{self, File};
use super::names::Names;
use super::{Agent, Crate, Group, Party, Provider, Scenario, Server, Uplink, fault};
use crate::config::{Asks, ConfigError};

/// More would say nothing new of a tree.
const SERVERS_MAX: usize = 1_000;
/// A name each is held in memory.
const AGENTS_MAX: usize = 100_000;
/// A day.
const SECONDS_MAX: f64 = 86_400.0;

pub(super) fn expand(file: File) -> Result<Scenario, ScenarioError> {
    let head = Place { block: "[scenario]", which: "" };
    let length = seconds(head, "seconds", file.scenario.seconds)?;
    if length.is_zero() {
        return head.bad("seconds", 0, "more than 0");
    }
    let mut names = Names::default();
    // All names first: a block may name what comes after it.
    let own = server_names(&file.server, &mut names)?;
    let providers = providers(&file.provider, length, &mut names)?;
    let (groups, agents) = agents(&file.agents, length, &mut names)?;
    let mut scenario = Scenario {
        name: file.scenario.name,
        length,
        seed: file.scenario.seed,
        servers: servers(&file.server, own, &names)?,
        providers,
        groups,
        agents,
        faults: Vec::new(),
    };
    tiers(&mut scenario.servers)?;
    scenario.faults = fault::faults(&file.fault, &scenario, &names)?;
    Ok(scenario)
}

/// A span of time of the file.
pub(super) fn seconds(place: Place<'_>, key: &'static str, value: f64) -> Result<Duration, ScenarioError> {
    match Duration::try_from_secs_f64(value) {
        Ok(span) if value <= SECONDS_MAX => Ok(span),
        _ => place.bad(key, value, "seconds, from 0 to 86400"),
    }
}

/// When somebody begins.
fn begin(place: Place<'_>, value: f64, length: Duration) -> Result<Duration, ScenarioError> {
    let at = seconds(place, "at", value)?;
    if at >= length { place.bad("at", value, "before the end: see seconds in [scenario]") } else { Ok(at) }
}

fn server_names(blocks: &[file::Server], names: &mut Names) -> Result<Vec<Vec<String>>, ScenarioError> {
    let mut total = 0;
    let mut own = Vec::new();
    for block in blocks {
        let place = Place { block: "[[server]]", which: &block.name };
        total = bounded(place, total, block.count, SERVERS_MAX, "at most 1000 servers")?;
        let before = own.iter().map(Vec::len).sum::<usize>();
        own.push(names.take(place, &block.name, block.count, |index| Party::Server(before + index))?);
    }
    if own.is_empty() {
        return Place { block: "[[server]]", which: "" }.bad("count", 0, "a tree needs a server");
    }
    Ok(own)
}

/// The new total; checked before anything is written out.
fn bounded(
    place: Place<'_>,
    total: usize,
    count: Option<usize>,
    max: usize,
    why: &'static str,
) -> Result<usize, ScenarioError> {
    let total = total.saturating_add(count.unwrap_or(1));
    if total > max { place.bad("count", total, why) } else { Ok(total) }
}

fn servers(blocks: &[file::Server], own: Vec<Vec<String>>, names: &Names) -> Result<Vec<Server>, ScenarioError> {
    let mut servers = Vec::new();
    for (block, own) in blocks.iter().zip(own) {
        let place = Place { block: "[[server]]", which: &block.name };
        let (asks, policy) = (block.asks(), block.policy());
        check_asks(place, asks)?;
        if let Err(ConfigError::Value { value, why, .. }) = policy.check() {
            return place.bad("combine_milliseconds", value, why);
        }
        for (turn, name) in own.into_iter().enumerate() {
            servers.push(Server {
                name,
                tier: 0,
                upstreams: upstreams(block, turn, names)?,
                asks,
                full_of_everything: policy.full_of_everything,
                combine_milliseconds: policy.combine_milliseconds,
            });
        }
    }
    Ok(servers)
}

fn upstreams(block: &file::Server, turn: usize, names: &Names) -> Result<Vec<Uplink>, ScenarioError> {
    let place = Place { block: "[[server]]", which: &block.name };
    let mut uplinks: Vec<Uplink> = Vec::new();
    let plain = block.upstreams.0.iter().map(|name| (name, block.asks(), "upstreams"));
    let special = block.upstream.iter().map(|one| (&one.server, one.asks(block.asks()), "upstream.server"));
    for (name, asks, key) in plain.chain(special) {
        check_asks(place, asks)?;
        let server = names.server(place, key, name, turn)?;
        if uplinks.iter().any(|other| other.server == server) {
            return place.bad(key, name, "each upstream once");
        }
        uplinks.push(Uplink { server, asks });
    }
    Ok(uplinks)
}

fn check_asks(place: Place<'_>, asks: Asks) -> Result<(), ScenarioError> {
    asks.check().or_else(|(key, value, why)| place.bad(key, value, why))
}

/// Numbers the tiers from the top.
fn tiers(servers: &mut [Server]) -> Result<(), ScenarioError> {
    // A tree has at most as many tiers as servers; whoever still sinks after that many rounds is below itself.
    for _ in 0..=servers.len() {
        let mut sunk = None;
        for index in 0..servers.len() {
            let above = servers[index].upstreams.iter().map(|uplink| servers[uplink.server].tier + 1).max();
            let tier = above.unwrap_or_default();
            if tier != servers[index].tier {
                servers[index].tier = tier;
                sunk = Some(index);
            }
        }
        let Some(index) = sunk else { return Ok(()) };
        if servers[index].tier > servers.len() {
            let place = Place { block: "[[server]]", which: &servers[index].name };
            let above: Vec<&str> =
                servers[index].upstreams.iter().map(|uplink| servers[uplink.server].name.as_str()).collect();
            return place.bad("upstreams", above.join(", "), "it would be above itself; a fault can attach it later");
        }
    }
    Ok(())
}

fn providers(blocks: &[file::Provider], length: Duration, names: &mut Names) -> Result<Vec<Provider>, ScenarioError> {
    let mut providers = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let place = Place { block: "[[provider]]", which: &block.name };
        names.take(place, &block.name, None, |_| Party::Provider(index))?;
        if block.publish.0.is_empty() {
            return place.bad("publish", "[]", "a folder or file of advisories, or builtin:rustsec");
        }
        if block.rate == Some(0) {
            return place.bad("rate", 0, "items a second, at least 1; leave it out for as fast as it goes");
        }
        providers.push(Provider {
            name: block.name.clone(),
            server: names.server(place, "server", &block.server, 0)?,
            publish: block.publish.0.clone(),
            at: begin(place, block.at, length)?,
            rate: block.rate,
        });
    }
    Ok(providers)
}

fn agents(
    blocks: &[file::Agents],
    length: Duration,
    names: &mut Names,
) -> Result<(Vec<Group>, Vec<Agent>), ScenarioError> {
    let (mut groups, mut agents, mut total) = (Vec::new(), Vec::new(), 0);
    for (group, block) in blocks.iter().enumerate() {
        let place = Place { block: "[[agents]]", which: &block.name };
        total = bounded(place, total, block.count, AGENTS_MAX, "at most 100000 agents")?;
        let before = agents.len();
        let own = names.take(place, &block.name, block.count, |index| Party::Agent(before + index))?;
        for (turn, name) in own.into_iter().enumerate() {
            let server = names.server(place, "server", &block.server, turn)?;
            agents.push(Agent { name, group, place: turn, server });
        }
        groups.push(Group {
            name: block.name.clone(),
            assets: block.assets.clone(),
            always: block.always.0.iter().map(|text| a_crate(place, text)).collect::<Result<_, _>>()?,
            at: begin(place, block.at, length)?,
        });
    }
    Ok((groups, agents))
}

fn a_crate(place: Place<'_>, text: &str) -> Result<Crate, ScenarioError> {
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte));
    match text.split_once(' ') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() && plain(name) && plain(version) => {
            Ok(Crate { name: name.to_owned(), version: version.to_owned() })
        }
        _ => place.bad("always", text, "a crate and its version, such as \"smallvec 0.6.9\""),
    }
}
