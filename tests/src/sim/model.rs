//! The plain model: small numbers for versions, lists for tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use node::client::Asset;
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::MessageId;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};
use topology::name::Name;
use topology::want::Want;

use super::real::Real;
use super::setup::SMALL_BYTES_MAX;
use super::{Options, Shape};
use crate::faults::Random;

/// Who speaks in every advisory.
const SOURCE: &str = "Simulated";

/// How much there is to run and to publish.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scale {
    /// Component names that devices and advisories share.
    crates: u64,
    /// A device has one of so many of them.
    rarity: u64,
    /// Advisories that are revised.
    advisories: u64,
    /// Deliveries of all advisories together.
    pub(super) deliveries: usize,
}

impl Scale {
    pub(super) fn draw(options: Options, random: &mut Random) -> Self {
        match options.shape {
            Shape::One => Self { crates: 7, rarity: 3, advisories: 14, deliveries: 40 },
            Shape::Tree => {
                let crates = 3 + random.below(12);
                let deliveries = 10 + random.below(25) as usize;
                Self { crates, rarity: 2 + random.below(6), advisories: crates * 2, deliveries }
            }
        }
    }
}

/// What a device runs: component → version.
pub(super) type Components = BTreeMap<u64, u64>;

/// What a device runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inventory {
    /// Of the plain model.
    Plain(Components),
    /// Of a scenario.
    Real(Arc<Real>),
}

/// One publication.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    /// What it is a revision of.
    pub(super) advisory: u64,
    pub(super) component: u64,
    /// The identifier of its advisory.
    pub(super) id: String,
    /// How the component is asked for.
    pub(super) named: Want,
    /// How the advisory is asked for.
    pub(super) element: Want,
    /// Affected: versions below this; zero for a withdrawn one, and where versions are no numbers.
    pub(super) below: u64,
    /// By place, the servers at which it is published.
    pub(super) roots: BTreeSet<usize>,
    pub(super) digest: Digest,
    /// The lane that it goes on.
    pub(super) class: Class,
    pub(super) document: Bytes,
}

impl Publication {
    pub(super) fn applies(&self, inventory: &Inventory) -> bool {
        match inventory {
            Inventory::Plain(components) => {
                components.get(&self.component).is_some_and(|version| *version < self.below)
            }
            Inventory::Real(real) => real.is_concerned_by(self.digest),
        }
    }
}

/// What a device may run.
pub(super) fn inventory(scale: Scale, random: &mut Random) -> Inventory {
    let mut components = Components::new();
    for component in 0..scale.crates {
        if random.one_in(scale.rarity) {
            components.insert(component, random.below(10));
        }
    }
    Inventory::Plain(components)
}

/// The same as an asset.
pub(super) fn asset(name: &str, components: &Components) -> Asset {
    let infos = components.iter().map(|(component, version)| component_info(*component, format!("{version}.0.0")));
    let contained = VersionInfo { info: infos.collect(), ..VersionInfo::default() };
    let container = Container {
        package: Some("generic".into()),
        version: "1".into(),
        file_name: Some(name.into()),
        contained_versions: vec![contained],
        ..Container::default()
    };
    let info = VersionInfo {
        product_name: Some(name.into()),
        product_version: Some("1".into()),
        info: vec![Info { container, ..Info::default() }],
        ..VersionInfo::default()
    };
    Asset::new(name, info)
}

/// A component's name in documents.
fn component_name(component: u64) -> String {
    format!("pkg:cargo/crate{component}")
}

fn component_info(component: u64, version: String) -> Info {
    let container = Container {
        package: Some("cargo".into()),
        version: version.into(),
        file_name: Some(component_name(component).into()),
        ..Container::default()
    };
    Info { container, ..Info::default() }
}

/// What providers publish, in order: revisions of a few advisories, some of them withdrawn at last. Of two providers
/// each has some advisories for itself, and both have the rest.
pub(super) fn publications(scale: Scale, roots: usize, random: &mut Random) -> Vec<Publication> {
    let mut revisions: BTreeMap<u64, u64> = BTreeMap::new();
    (0..scale.deliveries)
        .map(|number| {
            let advisory = random.below(scale.advisories);
            let revision = revisions.entry(advisory).or_default();
            *revision += 1;
            let below = if *revision > 1 && random.one_in(4) { 0 } else { 1 + random.below(10) };
            let roots = match (roots, advisory % 3) {
                (1, _) | (_, 0) => BTreeSet::from([0]),
                (_, 1) => BTreeSet::from([1]),
                _ => BTreeSet::from([0, 1]),
            };
            // An advisory keeps its component, as RustSec's do.
            let component = advisory % scale.crates;
            let class = match random.below(4) {
                0 => Class::Critical,
                1 => Class::Bulk,
                _ => Class::Normal,
            };
            publication(number as u64, Revised { advisory, revision: *revision, component, below, class }, roots)
        })
        .collect()
}

struct Revised {
    advisory: u64,
    revision: u64,
    component: u64,
    below: u64,
    class: Class,
}

fn publication(number: u64, revised: Revised, roots: BTreeSet<usize>) -> Publication {
    let Revised { advisory, revision, component, below, class } = revised;
    let range = if below == 0 { "vers:cargo/*".to_owned() } else { format!("vers:cargo/<{below}.0.0") };
    let mut info = component_info(component, range);
    let withdrawn = if below == 0 { "\nStatus: withdrawn" } else { "" };
    let id = format!("SIM-{advisory}");
    info.source = Some(SOURCE.into());
    info.id = Some(id.clone().into());
    let why = match class {
        Class::Critical => "\nCVSS3: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned(),
        Class::Normal => String::new(),
        Class::Bulk => " ".repeat(SMALL_BYTES_MAX),
    };
    info.container.author_comments = Some(format!("A hole.\nRevision: {revision}{withdrawn}{why}").into());
    let infos = [VersionInfo { info: vec![info], ..VersionInfo::default() }];
    let header =
        HeaderFields { message_id: Some(MessageId(0xadd0_0000 + u128::from(number))), ..HeaderFields::default() };
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(&infos) };
    let document = write::message(Spelling::Double, &header, &[draft]);
    let name = Name::parse(&component_name(component), None).expect("a component's name is one");
    let named = Want::component(&name, None, None);
    let element = Want::Element { source: SOURCE.into(), id: id.as_str().into() };
    let digest = Digest::of(&document);
    Publication { advisory, component, id, named, element, below, roots, digest, class, document }
}

/// What a device holds when everything has come to rest: of each advisory the last revision, if it applies. Of what was
/// trimmed, or is not to be had any more where the device is now, it may hold what it got in time.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) must: BTreeSet<Digest>,
    pub(super) may: BTreeSet<Digest>,
}

impl Expected {
    /// `trimmed` is of each advisory the newest publication that was trimmed above the device while nothing had replaced
    /// it; `above` are the servers that it hears of.
    pub(super) fn new(
        publications: &[Publication],
        trimmed: &BTreeMap<u64, usize>,
        on_offer: impl Fn(Digest) -> bool,
        above: &BTreeSet<usize>,
        inventory: &Inventory,
    ) -> Self {
        let mut last: BTreeMap<u64, &Publication> = BTreeMap::new();
        for publication in publications {
            last.insert(publication.advisory, publication);
        }
        let mut expected = Self::default();
        for (advisory, last) in last {
            let until = if last.roots.is_disjoint(above) {
                // Nobody speaks of it here.
                Some(publications.len() - 1)
            } else if last.applies(inventory) && on_offer(last.digest) {
                expected.must.insert(last.digest);
                None
            } else {
                trimmed.get(&advisory).copied()
            };
            let Some(until) = until else { continue };
            let may = publications[..=until].iter().filter(|one| one.advisory == advisory && one.applies(inventory));
            expected.may.extend(may.map(|one| one.digest));
        }
        expected
    }

    pub(super) fn is_met_by(&self, held: &BTreeSet<Digest>) -> bool {
        self.must.is_subset(held) && held.iter().all(|one| self.must.contains(one) || self.may.contains(one))
    }
}
