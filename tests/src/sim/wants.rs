//! What a local server has asked its upstreams for, against what is wanted below it.

use std::collections::BTreeSet;

use node::engine::Engine;
use node::records::{ItemRecord, Origin};
use node::uplink::{Ask, Realm, Uplink};
use topology::name::Name;
use topology::subscriptions::Mode;
use topology::want::{Granularity, Want};

use super::model::{Publication, SOURCE, component_name};
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
                return Err(format!("server {upper} has {has:?}, at least {least:?} and at most {most:?} is wanted"));
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

    /// Components of which the upstream's list has something that somebody below waits for, and those that may be.
    fn named(&self, engine: &Engine, upper: usize, below: &BTreeSet<Want>) -> (BTreeSet<Want>, BTreeSet<Want>) {
        let wanted: Vec<&Publication> = self.wanted_below(below).collect();
        let is_wanted = |record: &&ItemRecord| {
            let identity = record.subject.identity.as_ref();
            identity.is_some_and(|identity| wanted.iter().any(|one| one.id() == *identity.id))
        };
        let listed = entries(engine, upper).filter(is_wanted).flat_map(|record| &record.subject.affected);
        let least = listed.filter_map(|affected| Want::of_affected(affected, Granularity::Product)).collect();
        (least, wanted.iter().map(|one| component(one.component)).collect())
    }

    /// Elements of the upstream's list that concern somebody below, and those that may.
    fn elements(&self, engine: &Engine, upper: usize, below: &BTreeSet<Want>) -> (BTreeSet<Want>, BTreeSet<Want>) {
        let concerns = entries(engine, upper).filter(|record| engine.subscriptions().wants_content(&record.reach));
        let least =
            concerns.filter_map(|record| record.subject.identity.as_ref()).map(|identity| element(&identity.id));
        (least.collect(), self.wanted_below(below).map(|one| element(&one.id())).collect())
    }

    fn wanted_below(&self, below: &BTreeSet<Want>) -> impl Iterator<Item = &Publication> {
        self.publications.iter().filter(|one| {
            let names = [Want::Everything, component(one.component), element(&one.id())];
            names.iter().any(|name| below.contains(name))
        })
    }
}

/// What a local server has of an upstream's list.
fn entries(engine: &Engine, upper: usize) -> impl Iterator<Item = &ItemRecord> {
    let own = Origin::Upstream(guid_of(upper));
    let current = engine.catalogue().iter().filter(|(_, item)| item.current).map(|(_, item)| &item.record);
    current.filter(move |record| record.is_entry && record.origin == own)
}

fn component(component: u64) -> Want {
    let name = Name::parse(&component_name(component), None).expect("a component's name is one");
    Want::component(&name, None, None)
}

fn element(id: &str) -> Want {
    Want::Element { source: SOURCE.into(), id: id.into() }
}

/// Versions of a component are as good as the component.
fn in_any_version(want: Want) -> Want {
    match want {
        Want::Component { name, package, .. } => Want::Component { name, package, version: None },
        want => want,
    }
}
