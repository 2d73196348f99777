//! What is published in each comparison, to how many, and how fast.

use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One kind of load; every relay gets the same.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// By which it is chosen, and known in results.
    pub name: &'static str,
    /// What a message is, for people.
    pub what: &'static str,
    /// To how many and how fast, for people.
    pub how: &'static str,
    /// What a message is.
    pub content: Content,
    /// Messages at most; of a folder no more than there are.
    pub count: usize,
    /// Subscribers, each of which gets every message.
    pub clients: usize,
    /// How fast.
    pub pace: Pace,
    /// By which figure relays are compared.
    pub key: Key,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// So many bytes that do not compress.
    Random(usize),
    /// The files of a folder beside the program's data, each as it is.
    Folder(&'static str),
}

/// How fast messages are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many at most are published and not received by everybody.
    Window(usize),
    /// So many a second, whatever happens.
    Rate(f64),
}

/// The figure by which relays are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Key {
    /// Seconds of the relay's processor time for a GB (10^9 bytes) of content received.
    Gigabyte,
    /// The same for a million messages received.
    Million,
    /// Bytes on the wire for each byte of content received.
    Wire,
}

const MIB: usize = 1 << 20;
const ALL_FILES: usize = usize::MAX;

/// All of them, in the order in which they are run and shown.
pub const WORKLOADS: [Workload; 9] = [
    Workload {
        name: "random-1m-100",
        what: "1 MiB, incompressible",
        how: "100 subscribers, 4 in flight",
        content: Content::Random(MIB),
        count: 16,
        clients: 100,
        pace: Pace::Window(4),
        key: Key::Gigabyte,
    },
    Workload {
        name: "random-64k-100",
        what: "64 KiB, incompressible",
        how: "100 subscribers, 16 in flight",
        content: Content::Random(MIB / 16),
        count: 200,
        clients: 100,
        pace: Pace::Window(16),
        key: Key::Gigabyte,
    },
    Workload {
        name: "random-64k-1000",
        what: "64 KiB, incompressible",
        how: "1000 subscribers, 16 in flight",
        content: Content::Random(MIB / 16),
        count: 24,
        clients: 1000,
        pace: Pace::Window(16),
        key: Key::Gigabyte,
    },
    Workload {
        name: "updates-100",
        what: "real updates (crates, Debian packages, wheels)",
        how: "100 subscribers, 4 in flight",
        content: Content::Folder("updates"),
        count: ALL_FILES,
        clients: 100,
        pace: Pace::Window(4),
        key: Key::Gigabyte,
    },
    Workload {
        name: "signed-100",
        what: "real signed advisories",
        how: "100 subscribers, 64 in flight",
        content: Content::Folder("signed"),
        count: ALL_FILES,
        clients: 100,
        pace: Pace::Window(64),
        key: Key::Million,
    },
    Workload {
        name: "signed-1000",
        what: "real signed advisories",
        how: "1000 subscribers, 64 in flight",
        content: Content::Folder("signed"),
        count: 400,
        clients: 1000,
        pace: Pace::Window(64),
        key: Key::Million,
    },
    Workload {
        name: "paced-100",
        what: "real signed advisories",
        how: "100 subscribers, 100 a second",
        content: Content::Folder("signed"),
        count: 500,
        clients: 100,
        pace: Pace::Rate(100.0),
        key: Key::Million,
    },
    Workload {
        name: "paced-1000",
        what: "real signed advisories",
        how: "1000 subscribers, 20 a second",
        content: Content::Folder("signed"),
        count: 160,
        clients: 1000,
        pace: Pace::Rate(20.0),
        key: Key::Million,
    },
    Workload {
        name: "stream-1000",
        what: "real advisories, not signed",
        how: "1000 subscribers, 64 in flight",
        content: Content::Folder("plain"),
        count: 400,
        clients: 1000,
        pace: Pace::Window(64),
        key: Key::Wire,
    },
];

impl Workload {
    /// The one of this name.
    ///
    /// # Errors
    /// There is none; names them all.
    pub fn named(name: &str) -> anyhow::Result<Self> {
        let all = || WORKLOADS.map(|workload| workload.name).join(", ");
        WORKLOADS
            .into_iter()
            .find(|workload| workload.name == name)
            .with_context(|| format!("no workload {name:?}; there are: {}", all()))
    }

    /// A fourth of it, to see that everything works.
    pub fn quick(mut self, data: &Path) -> anyhow::Result<Self> {
        self.count = self.payloads(data)?.len().div_ceil(4);
        Ok(self)
    }

    /// Whether its data is there.
    pub fn is_there(&self, data: &Path) -> bool {
        match self.content {
            Content::Random(_) => true,
            Content::Folder(folder) => data.join(folder).is_dir(),
        }
    }

    /// Every message, in the order of publication.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn payloads(&self, data: &Path) -> anyhow::Result<Vec<Bytes>> {
        match self.content {
            Content::Random(bytes) => Ok((0..self.count).map(|number| random(number, bytes)).collect()),
            Content::Folder(folder) => Ok(read(&data.join(folder))?.into_iter().take(self.count).collect()),
        }
    }
}

/// The same bytes each time (SplitMix64), so that each relay carries the same.
fn random(number: usize, bytes: usize) -> Bytes {
    let mut state = (number as u64 + 1) << 32;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        content.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    content.truncate(bytes);
    content.into()
}

fn read(folder: &Path) -> anyhow::Result<Vec<Bytes>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.sort();
    ensure!(!paths.is_empty(), "{} has no file to publish", folder.display());
    paths.iter().map(|path| Ok(std::fs::read(path).with_context(|| path.display().to_string())?.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_content_is_the_same_each_time_and_never_that_of_another_message() {
        assert_eq!(random(3, 1000), random(3, 1000));
        assert_ne!(random(3, 1000), random(4, 1000));
        assert_eq!(random(0, 13).len(), 13);
    }

    #[test]
    fn a_name_that_is_not_known_is_answered_with_those_that_are() {
        let error = Workload::named("big").expect_err("refused").to_string();
        assert!(error.contains("random-1m-100"), "{error}");
    }
}
