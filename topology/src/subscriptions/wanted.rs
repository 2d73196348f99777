//! What all clients want together, counted as subscriptions come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use super::{Mode, Subscriptions};
use crate::interest::Interest;
use crate::key::{Keys, MatchKey};
use crate::name::Name;
use crate::want::Want;

/// Each want with the number of subscriptions that need it. A want that none needs is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    counts: BTreeMap<Want, u32>,
    /// The keys that they are found under, with their number.
    keys: BTreeMap<MatchKey, u32>,
    /// Subscriptions to the list: they want that, and no content.
    lists: u32,
    /// Wants that are there and were not when changes were last taken, or the other way round.
    changed: BTreeSet<Want>,
}

impl Wanted {
    /// One subscription now waits for `after` instead of `before`.
    pub(super) fn exchange(&mut self, mode: Mode, before: Option<&Interest>, after: Option<&Interest>) {
        if mode == Mode::Catalog {
            self.lists = self.lists + u32::from(after.is_some()) - u32::from(before.is_some());
            return;
        }
        let wants = |interest: Option<&Interest>| interest.map(Want::of_interest).unwrap_or_default();
        let (old, new) = (wants(before), wants(after));
        new.difference(&old).for_each(|want| self.insert(want));
        old.difference(&new).for_each(|want| self.remove(want));
    }

    fn insert(&mut self, want: &Want) {
        match self.counts.get_mut(want) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(want.clone(), 1);
                *self.keys.entry(want.key()).or_default() += 1;
                self.turn(want);
            }
        }
    }

    fn remove(&mut self, want: &Want) {
        match self.counts.get_mut(want) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                self.counts.remove(want);
                self.remove_key(&want.key());
                self.turn(want);
            }
            None => {}
        }
    }

    fn remove_key(&mut self, key: &MatchKey) {
        match self.keys.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(self.keys.remove(key)),
        }
    }

    fn turn(&mut self, want: &Want) {
        if !self.changed.remove(want) {
            self.changed.insert(want.clone());
        }
    }

    fn take_changes(&mut self) -> Vec<(Want, bool)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|want| (self.counts.contains_key(&want), want)).map(|(is_there, want)| (want, is_there)).collect()
    }
}

impl Subscriptions {
    /// An empty table that also counts what is wanted, see [`wants`](Self::wants). A default one does not.
    pub fn counting() -> Self {
        Self { clients: BTreeMap::new(), index: Index::counting() }
    }

    /// Everything that some client wants the content of, ascending, with the number of subscriptions that need it; nothing unless the
    /// table is [`counting`](Self::counting).
    pub fn wants(&self) -> impl Iterator<Item = (&Want, u32)> {
        let counts = self.index.wanted().into_iter().flat_map(|wanted| &wanted.counts);
        counts.map(|(want, count)| (want, *count))
    }

    /// How many subscriptions wait for the list. They count for no want: who takes a list wants no content.
    pub fn lists(&self) -> u32 {
        self.index.wanted().map_or(0, |wanted| wanted.lists)
    }

    /// Whether a subscription needs this want.
    pub fn is_wanted(&self, want: &Want) -> bool {
        self.index.wanted().is_some_and(|wanted| wanted.counts.contains_key(want))
    }

    /// Whether anybody waits for content under this key; nobody unless the table is [`counting`](Self::counting).
    pub fn waits(&self, key: &MatchKey) -> bool {
        self.index.wanted().is_some_and(|wanted| wanted.keys.contains_key(key))
    }

    /// The wants that are there now and were not at the last call (`true`), and those that were (`false`): each once,
    /// ascending. What came and went between is not named.
    pub fn take_want_changes(&mut self) -> Vec<(Want, bool)> {
        self.index.wanted_mut().map(Wanted::take_changes).unwrap_or_default()
    }

    /// How many clients have each version of this component. A version is taken as it stands; the empty one is that of
    /// clients that wait for any, or do not say which they have.
    pub fn versions_wanted(&self, name: &Name) -> BTreeMap<Box<str>, usize> {
        let mut counts: BTreeMap<Box<str>, usize> = BTreeMap::new();
        for client in self.index.candidates(&Keys::from([MatchKey::File(name.folded())])) {
            let versions: BTreeSet<&str> =
                self.of(client).iter().flat_map(|held| held.interest.versions_of(name)).collect();
            versions.into_iter().for_each(|version| *counts.entry(version.into()).or_default() += 1);
        }
        counts
    }
}
