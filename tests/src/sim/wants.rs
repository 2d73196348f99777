//! What a local server has asked its upstreams for, against what is wanted below it.

use std::collections::BTreeSet;

use node::engine::Engine;
use node::records::{ItemRecord, Origin};
use node::uplink::{Ask, Realm, Uplink};
use topology::key::MatchKey;
use topology::subject::ItemIdentity;
use topology::subscriptions::Mode;
use topology::want::{Granularity, Want};

use super::model::Publication;
use super::server::{client_of, guid_of};
use super::world::World;

impl World {
    /// Every upstream has been asked for what is wanted below, and for nothing else.
    pub(super) fn check_uplinks(&self, index: usize) -> Result<(), String> {
        let server = &self.servers[index];
        let Some(engine) = server.engine() else { return Err("is down".into()) };
        if engine.uplinks().count() != server.upstreams.len() {
            return Err("has not left an upstream".into());
        }
        for upper in server.upstreams.keys() {
            let uplink = self.uplink(index, *upper).ok_or("lacks an uplink")?;
            if !uplink.is_synchronised() {
                return Err(format!("the uplink to server {upper} is not synchronised"));
            }
            let has = self.standing(index, *upper);
            let (least, most) = self.wanted(engine, uplink, *upper);
            if !least.is_subset(&has) || !has.is_subset(&most) {
                let (lacks, more): (Vec<_>, Vec<_>) =
                    (least.difference(&has).collect(), has.difference(&most).collect());
                return Err(format!("has asked server {upper} not for {lacks:?}, and for {more:?} besides"));
            }
        }
        Ok(())
    }

    pub(super) fn uplink(&self, server: usize, upper: usize) -> Option<&Uplink> {
        self.servers[server].engine()?.uplinks().find(|uplink| uplink.config().server == guid_of(upper))
    }

    /// What stands at the upper server for the lower.
    fn standing(&self, lower: usize, upper: usize) -> BTreeSet<Want> {
        let Some(engine) = self.servers[upper].engine() else { return BTreeSet::new() };
        let full = engine.subscriptions().of(client_of(lower)).iter().filter(|one| one.mode == Mode::Full);
        full.flat_map(|one| Want::of_interest(&one.interest)).map(in_any_version).collect()
    }

    /// The least and the most that may stand there.
    fn wanted(&self, engine: &Engine, uplink: &Uplink, upper: usize) -> (BTreeSet<Want>, BTreeSet<Want>) {
        let below: BTreeSet<Want> = engine.subscriptions().wants().map(|(want, _)| want.clone()).collect();
        let everything = BTreeSet::from([Want::Everything]);
        match (uplink.asks(), uplink.config().realm) {
            (Ask::Everything, _) => (everything.clone(), everything),
            (Ask::Names, Realm::Same) if below.contains(&Want::Everything) => (everything.clone(), everything),
            (Ask::Names, Realm::Same) => (below.clone(), below),
            (Ask::Names, Realm::Foreign) => self.named(engine, upper, &below),
            (Ask::Elements, _) => self.elements(engine, upper, &below),
        }
    }

    /// Components of which the upstream's list has something that somebody below waits for, and those that may be. One of
    /// another origin that is called the same, such as a crate of this machine, may be: indexes go by names alone.
    fn named(&self, engine: &Engine, upper: usize, below: &BTreeSet<Want>) -> (BTreeSet<Want>, BTreeSet<Want>) {
        let wanted: Vec<&Publication> = self.wanted_below(below).collect();
        let is_wanted = |record: &&ItemRecord| {
            let identity = record.subject.identity.as_ref();
            identity.is_some_and(|identity| wanted.iter().any(|one| one.element == element(identity)))
        };
        let listed = entries(engine, upper).filter(is_wanted).flat_map(|record| &record.subject.affected);
        // Identifiers that stand for none yet are those of several components.
        let is_named = |want: &Want| wanted.iter().any(|one| one.named == *want);
        let listed = listed.filter_map(|affected| Want::of_affected(affected, Granularity::Product));
        let least = listed.filter(is_named).collect();
        let keys: BTreeSet<MatchKey> = below.iter().map(Want::key).collect();
        let alike = self.publications.iter().filter(|one| keys.contains(&one.named.key()));
        (least, wanted.iter().copied().chain(alike).map(|one| one.named.clone()).collect())
    }

    /// Elements of the upstream's list that concern somebody below, and those that may.
    fn elements(&self, engine: &Engine, upper: usize, below: &BTreeSet<Want>) -> (BTreeSet<Want>, BTreeSet<Want>) {
        let concerns = entries(engine, upper).filter(|record| engine.subscriptions().wants_content(&record.reach));
        let least = concerns.filter_map(|record| record.subject.identity.as_ref()).map(element);
        (least.collect(), self.wanted_below(below).map(|one| one.element.clone()).collect())
    }

    fn wanted_below(&self, below: &BTreeSet<Want>) -> impl Iterator<Item = &Publication> {
        self.publications
            .iter()
            .filter(|one| [&Want::Everything, &one.named, &one.element].into_iter().any(|name| below.contains(name)))
    }
}

/// What a local server has of an upstream's list.
fn entries(engine: &Engine, upper: usize) -> impl Iterator<Item = &ItemRecord> {
    let own = Origin::Upstream(guid_of(upper));
    let current = engine.catalogue().iter().filter(|(_, item)| item.current).map(|(_, item)| &item.record);
    current.filter(move |record| record.is_entry && record.origin == own)
}

fn element(identity: &ItemIdentity) -> Want {
    Want::Element { source: identity.source.as_str().into(), id: identity.id.as_str().into() }
}

/// Versions of a component are as good as the component.
fn in_any_version(want: Want) -> Want {
    match want {
        Want::Component { name, package, .. } => Want::Component { name, package, version: None },
        want => want,
    }
}
