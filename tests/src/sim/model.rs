//! The plain model: small numbers for versions, lists for tables, and what every journal must look like.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use node::client::Asset;
use node::client::journal::{Entry, Event};
use node::ids::Time;
use schemas::digest::Digest;
use schemas::guid::MessageId;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use crate::faults::Random;

/// Component names that devices and advisories share.
const CRATES: u64 = 7;
/// Advisories that are revised.
const ADVISORIES: u64 = 14;

/// What a device runs: component → version.
pub(super) type Components = BTreeMap<u64, u64>;

/// One publication.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) advisory: u64,
    component: u64,
    /// Affected: versions below this; zero for a withdrawn one.
    below: u64,
    pub(super) digest: Digest,
    pub(super) document: Bytes,
}

impl Publication {
    pub(super) fn applies(&self, components: &Components) -> bool {
        components.get(&self.component).is_some_and(|version| *version < self.below)
    }
}

/// What a device may run.
pub(super) fn components(random: &mut Random) -> Components {
    let mut components = Components::new();
    for component in 0..CRATES {
        if random.one_in(3) {
            components.insert(component, random.below(10));
        }
    }
    components
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

fn component_info(component: u64, version: String) -> Info {
    let container = Container {
        package: Some("cargo".into()),
        version: version.into(),
        file_name: Some(format!("pkg:cargo/crate{component}").into()),
        ..Container::default()
    };
    Info { container, ..Info::default() }
}

/// What a provider publishes, in order: revisions of a few advisories, some of them withdrawn at last.
pub(super) fn publications(count: usize, random: &mut Random) -> Vec<Publication> {
    let mut revisions: BTreeMap<u64, u64> = BTreeMap::new();
    (0..count)
        .map(|number| {
            let advisory = random.below(ADVISORIES);
            let revision = revisions.entry(advisory).or_default();
            *revision += 1;
            // An advisory keeps its component, as RustSec's do.
            let component = advisory % CRATES;
            let below = if *revision > 1 && random.one_in(4) { 0 } else { 1 + random.below(10) };
            publication(number as u64, advisory, *revision, component, below)
        })
        .collect()
}

fn publication(number: u64, advisory: u64, revision: u64, component: u64, below: u64) -> Publication {
    let range = if below == 0 { "vers:cargo/*".to_owned() } else { format!("vers:cargo/<{below}.0.0") };
    let mut info = component_info(component, range);
    let withdrawn = if below == 0 { "\nStatus: withdrawn" } else { "" };
    info.source = Some("Simulated".into());
    info.id = Some(format!("SIM-{advisory}").into());
    info.container.author_comments = Some(format!("A hole.\nRevision: {revision}{withdrawn}").into());
    let infos = [VersionInfo { info: vec![info], ..VersionInfo::default() }];
    let header =
        HeaderFields { message_id: Some(MessageId(0xadd0_0000 + u128::from(number))), ..HeaderFields::default() };
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(&infos) };
    let document = write::message(Spelling::Double, &header, &[draft]);
    Publication { advisory, component, below, digest: Digest::of(&document), document }
}

/// What a device holds when everything has come to rest: of each advisory the last revision, if it applies. Of what was
/// `trimmed` it may hold what it got in time.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) must: BTreeSet<Digest>,
    pub(super) may: BTreeSet<Digest>,
}

impl Expected {
    pub(super) fn new(
        publications: &[Publication],
        trimmed: &BTreeMap<u64, usize>,
        on_offer: impl Fn(Digest) -> bool,
        components: &Components,
    ) -> Self {
        let mut last: BTreeMap<u64, &Publication> = BTreeMap::new();
        for publication in publications {
            last.insert(publication.advisory, publication);
        }
        let mut expected = Self::default();
        for (advisory, last) in last {
            if last.applies(components) && on_offer(last.digest) {
                expected.must.insert(last.digest);
            } else if let Some(trimmed) = trimmed.get(&advisory) {
                let may = publications[..=*trimmed].iter().filter(|one| one.advisory == advisory);
                expected.may.extend(may.filter(|one| one.applies(components)).map(|one| one.digest));
            }
        }
        expected
    }

    pub(super) fn is_met_by(&self, held: &BTreeSet<Digest>) -> bool {
        self.must.is_subset(held) && held.iter().all(|one| self.must.contains(one) || self.may.contains(one))
    }
}

/// Checks one device's journal: numbered without a gap, nothing twice, and in the order of the log unless the inventory
/// changed in between. What is pushed while an answer is under way waits for its end. If it is replaced or trimmed
/// meanwhile, the answer lacks it, and it comes after newer items of the answer: `was_gone` says so.
pub(super) fn check_journal(
    entries: &[Entry],
    place_of: impl Fn(Digest) -> Option<u64>,
    was_gone: impl Fn(Digest, Time) -> bool,
    inventory_changed: bool,
) -> Result<(), String> {
    let mut held = BTreeSet::new();
    let mut ever = BTreeSet::new();
    let mut last = 0;
    for (index, entry) in entries.iter().enumerate() {
        if entry.number != index as u64 + 1 {
            return Err(format!("entry {} has number {}", index + 1, entry.number));
        }
        let (came, went) = match &entry.event {
            Event::Gained { digest, .. } => (Some(*digest), None),
            Event::Revised { digest, replaced, .. } => (Some(*digest), Some(*replaced)),
            Event::Retracted { replaced, .. } => (None, Some(*replaced)),
            Event::Left { digest } => (None, Some(*digest)),
            Event::Rematched { .. }
            | Event::Registered { .. }
            | Event::Ended { .. }
            | Event::Assigned { .. }
            | Event::Noted => continue,
        };
        if let Some(went) = went
            && !held.remove(&went)
        {
            return Err(format!("entry {}: {went} went without having come", entry.number));
        }
        let Some(came) = came else { continue };
        if !held.insert(came) || (!ever.insert(came) && !inventory_changed) {
            return Err(format!("entry {}: {came} came twice", entry.number));
        }
        let position = place_of(came).ok_or_else(|| format!("{came} is not in the log"))?;
        if position < last && !inventory_changed && !was_gone(came, entry.at) {
            return Err(format!("entry {}: position {position} came after {last}", entry.number));
        }
        last = last.max(position);
    }
    Ok(())
}
