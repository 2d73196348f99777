//! Who runs what, what is published, and what must be in each journal.

use std::collections::{BTreeMap, BTreeSet};

use agent::journal::{Kind, Line};
use agent::publish::Part;
use schemas::version::{Container, Info, VersionInfo};

use crate::faults::Random;

/// Component names that agents and advisories share.
const CRATES: u64 = 50;

/// What an agent runs: crate → version.
pub(super) type Components = BTreeMap<u64, u64>;

/// An advisory on the versions of a crate below one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advisory {
    number: usize,
    component: u64,
    below: u64,
}

pub(super) fn components(random: &mut Random) -> Components {
    let mut components = Components::new();
    for component in 0..CRATES {
        if random.one_in(5) {
            components.insert(component, random.below(10));
        }
    }
    components
}

pub(super) fn advisories(count: usize, random: &mut Random) -> Vec<Advisory> {
    (0..count).map(|number| Advisory { number, component: random.below(CRATES), below: 1 + random.below(10) }).collect()
}

/// A lock file of version 3 with these components.
pub(super) fn lock_file(components: &Components) -> String {
    let mut text = "version = 3\n\n[[package]]\nname = \"device\"\nversion = \"1.0.0\"\n".to_owned();
    for (component, version) in components {
        text.push_str(&format!(
            "\n[[package]]\nname = \"crate{component}\"\nversion = \"{version}.0.0\"\n\
             source = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
        ));
    }
    text
}

impl Advisory {
    pub(super) fn id(self) -> String {
        format!("TEST-{}", self.number)
    }

    pub(super) fn part(self) -> Part {
        let container = Container {
            package: Some("cargo".into()),
            file_name: Some(format!("pkg:cargo/crate{}", self.component).into()),
            version: format!("vers:cargo/<{}.0.0", self.below).into(),
            author_comments: Some(format!("{} is vulnerable.\nRevision: 1", self.id()).into()),
            ..Container::default()
        };
        let info = Info { source: Some("Tests".into()), id: Some(self.id().into()), container, ..Info::default() };
        Part::new(self.id(), &[VersionInfo { info: vec![info], ..VersionInfo::default() }])
    }

    fn applies(self, components: &Components) -> bool {
        components.get(&self.component).is_some_and(|version| *version < self.below)
    }
}

pub(super) fn expected(advisories: &[Advisory], components: &Components) -> BTreeSet<String> {
    advisories.iter().filter(|advisory| advisory.applies(components)).map(|advisory| advisory.id()).collect()
}

/// How many items have come, by the text of a journal: no other field can hold these bytes, since JSON escapes quotes.
pub(super) fn gained(journal: &[u8]) -> usize {
    const EVENT: &[u8] = br#""event":"gained""#;
    journal.windows(EVENT.len()).filter(|window| *window == EVENT).count()
}

/// Holds one journal against what must be in it.
pub(super) fn check(lines: &[Line], expected: &BTreeSet<String>) -> Result<(), String> {
    if let Some((line, number)) = lines.iter().zip(1..).find(|(line, number)| line.n != *number) {
        return Err(format!("entry {number} has number {}", line.n));
    }
    let mut got = BTreeSet::new();
    for line in lines {
        match line.event {
            Kind::Gained => {
                let id = line.id.clone().unwrap_or_default();
                if !expected.contains(&id) {
                    return Err(format!("entry {}: {id} is foreign", line.n));
                }
                if !got.insert(id.clone()) {
                    return Err(format!("entry {}: {id} came twice", line.n));
                }
            }
            Kind::Registered | Kind::Noted => {}
            other => return Err(format!("entry {}: nobody asked for {}", line.n, other.as_str())),
        }
    }
    let missing: Vec<&String> = expected.difference(&got).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{} items are missing: {missing:?}", missing.len())) }
}
