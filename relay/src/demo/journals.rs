//! What the agents have written down.

use std::collections::BTreeMap;

use agent::journal::{self, Kind, Line};
use dialler::clock;
use node::client::journal::{Entry, Event};
use node::ids::Time;
use schemas::core::{Message, Payload, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::signature::KeyId;

use super::world::World;
use crate::tree::builtin::Reason;

/// One agent's journal, read off its directory.
pub(super) struct Journal {
    pub(super) lines: Vec<Line>,
    verified: usize,
}

impl Journal {
    /// As it stands now; empty if the agent has not begun.
    pub(super) fn read(world: &World, device: &str) -> anyhow::Result<Self> {
        let directory = world.cast.world.state(device);
        if !directory.join(journal::JOURNAL).exists() {
            return Ok(Self { lines: Vec::new(), verified: 0 });
        }
        Ok(Self { lines: journal::lines(&directory)?, verified: 0 })
    }

    /// The same with its documents, each of which is verified.
    fn read_and_verify(world: &World, device: &str) -> anyhow::Result<Self> {
        let mut verified = 0;
        let lines = journal::read(&world.cast.world.state(device), |entry| {
            verified += usize::from(is_signed(&entry, world.signer));
        })?;
        Ok(Self { lines, verified })
    }

    fn came(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.event == Kind::Gained)
    }

    /// Entries that say anything but: registered, came for the first time, or nothing. None of the publications
    /// revises or withdraws.
    pub(super) fn surprises(&self) -> usize {
        let known = [Kind::Gained, Kind::Registered, Kind::Noted];
        self.lines.iter().filter(|line| !known.contains(&line.event)).count()
    }

    /// How many items have come.
    pub(super) fn items(&self) -> usize {
        self.came().count()
    }

    /// Every reason for which something came, sorted; twice if it came twice.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.came().flat_map(reasons_of).collect();
        reasons.sort();
        reasons
    }

    /// How many items are signed by the key of the run, as their documents in the journal say.
    pub(super) fn verified(&self) -> usize {
        self.verified
    }

    /// Whether entries are numbered from 1 without a gap.
    pub(super) fn is_without_gap(&self) -> bool {
        self.lines.iter().zip(1..).all(|(line, number)| line.n == number)
    }

    /// Whether the server has accepted the registration and answered it in full.
    pub(super) fn is_synchronised(&self) -> bool {
        self.lines.iter().any(|line| line.resume.is_some())
    }

    /// When the last item came, of those from `first` on.
    pub(super) fn last_since(&self, first: usize) -> Option<Time> {
        self.came().skip(first).filter_map(|line| clock::parse(&line.at)).max()
    }

    /// Components through which items came, with how many, most first.
    pub(super) fn components(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (component, version, _) in self.reasons() {
            *counts.entry(format!("{component} {version}")).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        counts
    }
}

fn reasons_of(line: &Line) -> Vec<Reason> {
    let id = line.id.clone().unwrap_or_default();
    let because = line.reasons.iter().flat_map(|asset| &asset.because);
    because.map(|reason| (reason.component.clone(), reason.version.clone(), id.clone())).collect()
}

/// Whether an entry brought an item whose message a key has signed, so that all of what it says is.
fn is_signed(entry: &Entry, key: KeyId) -> bool {
    let Event::Gained { document, .. } = &entry.event else { return false };
    let Ok(facts) = Validated::new(document.clone(), &Limits::default()) else { return false };
    let Root::Message(core) = &facts.document().root else { return false };
    let Payload::Messages(messages) = &core.payload else { return false };
    messages.iter().all(|message| match message {
        Message::Version(message) => facts.covering(message.span).any(|verified| verified.key == key),
        Message::Opaque(_) => false,
    })
}

/// All journals with their documents verified.
pub(super) fn verify_all(world: &World) -> anyhow::Result<Vec<Journal>> {
    world.devices.iter().map(|device| Journal::read_and_verify(world, &device.name)).collect()
}

/// All journals, in the order of the devices.
pub(super) fn read_all(world: &World) -> anyhow::Result<Vec<Journal>> {
    world.devices.iter().map(|device| Journal::read(world, &device.name)).collect()
}

/// Items in all journals together.
pub(super) fn items(world: &World) -> anyhow::Result<usize> {
    Ok(read_all(world)?.iter().map(Journal::items).sum())
}
