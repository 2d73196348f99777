//! What the agents have written down.

use std::collections::BTreeMap;

use agent::journal::{self, Kind, Line};
use dialler::clock;
use node::ids::Time;

use super::world::World;
use crate::tree::builtin::Reason;

/// One agent's journal, read off its directory.
pub(super) struct Journal {
    pub(super) lines: Vec<Line>,
}

impl Journal {
    /// As it stands now; empty if the agent has not begun.
    pub(super) fn read(world: &World, device: &str) -> anyhow::Result<Self> {
        let directory = world.cast.world.state(device);
        if !directory.join(journal::JOURNAL).exists() {
            return Ok(Self { lines: Vec::new() });
        }
        Ok(Self { lines: journal::lines(&directory)? })
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

/// All journals, in the order of the devices.
pub(super) fn read_all(world: &World) -> anyhow::Result<Vec<Journal>> {
    world.devices.iter().map(|device| Journal::read(world, &device.name)).collect()
}

/// Items in all journals together.
pub(super) fn items(world: &World) -> anyhow::Result<usize> {
    Ok(read_all(world)?.iter().map(Journal::items).sum())
}
