//! Real items and inventories beside the small numbers of `model`: what a scenario names, read as the programs read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::publish::Part;
use agent::rustsec;
use agent::rustsec::publication::State;
use anyhow::Context;
use node::client::Asset;
use node::engine::Config;
use relay::tree::inventory::Stock;
use relay::tree::publications;
use relay::tree::scenario::{Group, Scenario};
use schemas::digest::Digest;
use schemas::guid::ServerGuid;
use topology::affected::Affected;
use topology::matching;
use topology::subject::{ItemIdentity, Subject};
use topology::want::{Granularity, Want};

use super::model::{Inventory, Publication};

/// What a device of a scenario runs.
#[derive(PartialEq, Eq)]
pub(super) struct Real {
    /// What the inventories are called.
    pub(super) name: String,
    pub(super) assets: Vec<Asset>,
    concerned_by: BTreeSet<Digest>,
}

impl Real {
    pub(super) fn is_concerned_by(&self, item: Digest) -> bool {
        self.concerned_by.contains(&item)
    }
}

/// Lists of components are too long for the message of a failure.
impl fmt::Debug for Real {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// Everything that is published in a scenario.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Of each provider, in order.
    of_providers: Vec<Vec<Digest>>,
    items: BTreeMap<Digest, Item>,
}

#[derive(Debug)]
struct Item {
    subject: Subject,
    part: Part,
    /// The servers at which it is published.
    roots: BTreeSet<usize>,
}

impl Items {
    /// Reads what a scenario names; paths count from `base`.
    pub(super) fn read(scenario: &Scenario, base: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sources = publications::find(scenario, base, folder.path())?;
        let mut items = Self::default();
        for (provider, sources) in scenario.providers.iter().zip(&sources) {
            let own = items.of_provider(provider.server, sources).with_context(|| provider.name.clone())?;
            items.of_providers.push(own);
        }
        Ok(items)
    }

    /// As `distributary-agent publish` makes items, source by source on one state.
    fn of_provider(&mut self, root: usize, sources: &[PathBuf]) -> anyhow::Result<Vec<Digest>> {
        let (mut state, mut own) = (State::default(), Vec::new());
        for source in sources {
            let source = rustsec::read_source(source)?;
            let is_complete = source.is_complete();
            let plan = state.plan(source, is_complete);
            plan.doubt().map_or(Ok(()), Err)?;
            for (path, info) in &plan.publish {
                let infos = std::slice::from_ref(info);
                let (subject, part) = (Subject::from_version_infos(infos), Part::new(path, infos));
                let digest = Digest::of(part.bytes());
                let item = self.items.entry(digest).or_insert(Item { subject, part, roots: BTreeSet::new() });
                item.roots.insert(root);
                own.push(digest);
            }
        }
        Ok(own)
    }

    /// All of them as the model takes them, the one that counts last of each advisory; and which are each provider's.
    pub(super) fn publications(&self) -> anyhow::Result<(Vec<Publication>, Vec<Vec<Publication>>)> {
        let mut numbers = Numbers::default();
        let mut all: Vec<(u64, Publication)> = Vec::new();
        for (digest, item) in &self.items {
            let publication = item.publication(*digest, &mut numbers);
            all.push((item.subject.revision, publication.with_context(|| item.part.label().to_owned())?));
        }
        // As a server decides between two: by revision, then by digest.
        all.sort_by_key(|(revision, one)| (*revision, one.digest));
        let all: Vec<Publication> = all.into_iter().map(|(_, one)| one).collect();
        let by_digest: BTreeMap<Digest, &Publication> = all.iter().map(|one| (one.digest, one)).collect();
        let of_provider = |own: &Vec<Digest>| own.iter().map(|digest| by_digest[digest].clone()).collect();
        let of_providers = self.of_providers.iter().map(of_provider).collect();
        Ok((all, of_providers))
    }

    /// What the agents of a group run.
    pub(super) fn inventories(&self, group: &Group, base: &Path) -> anyhow::Result<Vec<Inventory>> {
        let stock = Stock::read(group, base)?.try_map(|_, one| Ok((one.name.clone(), one.assets()?)))?;
        let inventory = |place: usize| self.inventory(stock.of(place));
        Ok((0..stock.kinds()).map(inventory).collect())
    }

    /// Whom an item concerns is what `topology` says of the document and the inventory. The machines under test decide by
    /// the same function, so this says nothing about matching: that is held against cargo-audit's answers elsewhere, for
    /// lock files (`agent/src/rustsec/truth.rs`), and for the devices of a scenario by whoever plays it. Here it says
    /// which items must come through the tree, whatever fails in it, and which must not.
    fn inventory<'a>(&self, parts: impl Iterator<Item = &'a (String, Vec<Asset>)>) -> Inventory {
        let (names, assets): (Vec<&str>, Vec<&[Asset]>) =
            parts.map(|(name, assets)| (name.as_str(), assets.as_slice())).unzip();
        let assets = assets.concat();
        let concerns = |affected: &[Affected]| assets.iter().any(|one| matching::covers(&one.interest, affected));
        let concerned = self.items.iter().filter(|(_, item)| concerns(&item.subject.affected));
        let concerned_by = concerned.map(|(digest, _)| *digest).collect();
        Inventory::Real(Arc::new(Real { name: names.join(" and "), assets, concerned_by }))
    }
}

impl Item {
    fn publication(&self, digest: Digest, numbers: &mut Numbers) -> anyhow::Result<Publication> {
        let identity = self.subject.identity.as_ref().context("it has no identifier")?;
        let affected = self.subject.affected.first().context("it is about nothing")?;
        let named = Want::of_affected(affected, Granularity::Product).context("it names nothing")?;
        let (source, id) = (identity.source.as_str().into(), identity.id.as_str().into());
        Ok(Publication {
            advisory: numbers.of_advisory(identity),
            component: numbers.of_component(&identity.asset),
            id: identity.id.clone(),
            named,
            element: Want::Element { source, id },
            below: 0,
            roots: self.roots.clone(),
            digest,
            class: Config::new(ServerGuid(0)).class_of(self.subject.class, self.part.bytes().len()),
            document: self.part.bytes().clone(),
        })
    }
}

/// The model counts advisories and components.
#[derive(Debug, Default)]
struct Numbers {
    advisories: BTreeMap<ItemIdentity, u64>,
    components: BTreeMap<String, u64>,
}

impl Numbers {
    fn of_advisory(&mut self, identity: &ItemIdentity) -> u64 {
        let next = self.advisories.len() as u64;
        *self.advisories.entry(identity.clone()).or_insert(next)
    }

    fn of_component(&mut self, asset: &str) -> u64 {
        let next = self.components.len() as u64;
        *self.components.entry(asset.to_owned()).or_insert(next)
    }
}
