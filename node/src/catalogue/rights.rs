//! Items that may not go on: kept, and on offer again when they may.

use std::collections::{BTreeMap, BTreeSet};

use schemas::digest::Digest;
use topology::subject::{ItemIdentity, Reach, Subject};

use super::{Catalogue, Item, Slot, is_announcement};
use crate::ids::{Position, Time};
use crate::records::ItemRecord;
use crate::trust::{Signing, Trust, Weight};

/// A trust at a time: what may go on depends on nothing else besides the records.
#[derive(Clone, Copy, Debug)]
pub struct Rights<'a> {
    /// Who may speak for whom.
    pub trust: &'a Trust,
    /// When.
    pub at: Time,
}

/// An item beside another one of the same identity and kind.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// Of its subject.
    pub revision: u64,
    /// Of its bytes.
    pub digest: Digest,
    /// Who has signed it.
    pub signing: Option<&'a Signing>,
}

/// What becomes of two items of the same identity and kind, whichever came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contest {
    /// The one that comes takes the place, as the newer one.
    Succeeds,
    /// It is older, and the other one keeps the place.
    IsOlder,
    /// It is newer, and may not take the place of the other one.
    MayNotSucceed,
    /// It is older, and takes the place all the same: the newer one may not have it.
    Displaces,
}

impl Contest {
    /// Whether the one that comes has the place.
    pub fn is_won(self) -> bool {
        matches!(self, Self::Succeeds | Self::Displaces)
    }
}

impl<'a> Word<'a> {
    pub(super) fn of(record: &'a ItemRecord) -> Self {
        Self { revision: record.subject.revision, digest: record.digest, signing: record.signing.as_deref() }
    }

    /// Of an item that has no record yet.
    pub fn new(subject: &Subject, digest: Digest, signing: Option<&'a Signing>) -> Self {
        Self { revision: subject.revision, digest, signing }
    }
}

impl Rights<'_> {
    /// Whether an item may go on by itself.
    pub fn passes(&self, signing: Option<&Signing>) -> bool {
        self.trust.judge(signing, self.at).passes()
    }

    /// Who of two has the place that may both go on by themselves.
    pub fn contest(&self, comes: Word<'_>, is_there: Word<'_>) -> Contest {
        let succeeds = |newer: Word<'_>, older: Word<'_>| {
            self.trust.judge_successor(newer.signing, older.signing, self.at).passes()
        };
        let is_newer = (comes.revision, comes.digest) > (is_there.revision, is_there.digest);
        match is_newer {
            true if succeeds(comes, is_there) => Contest::Succeeds,
            true => Contest::MayNotSucceed,
            false if succeeds(is_there, comes) => Contest::IsOlder,
            false => Contest::Displaces,
        }
    }

    pub(super) fn weight(&self, record: &ItemRecord) -> Weight {
        self.trust.weight(record.signing.as_deref(), self.at)
    }
}

/// What a change of rights changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconsidered {
    /// On offer now, and not before.
    pub gained: Vec<Position>,
    /// On offer before, and not now.
    pub lost: Vec<Position>,
}

/// What may not go on, as things stand.
#[derive(Debug, Default)]
pub(super) struct Barred {
    count: usize,
    /// By what they are about, if they say.
    slots: BTreeMap<Slot, BTreeSet<Position>>,
}

impl Barred {
    pub(super) fn add(&mut self, position: Position, record: &ItemRecord) {
        self.count += 1;
        if let Some(identity) = record.subject.identity.clone() {
            self.slots.entry((identity, record.is_entry)).or_default().insert(position);
        }
    }

    pub(super) fn remove(&mut self, position: Position, record: &ItemRecord) {
        self.count -= 1;
        let Some(identity) = record.subject.identity.clone() else { return };
        let slot = (identity, record.is_entry);
        if let Some(positions) = self.slots.get_mut(&slot) {
            positions.remove(&position);
            if positions.is_empty() {
                self.slots.remove(&slot);
            }
        }
    }
}

impl Catalogue {
    /// Decides of every item again whether it may go on, and which has the place of its identity. Then the catalogue is as
    /// if those that may not had never come: what they had replaced is on offer again. Reads records only.
    pub fn reconsider(&mut self, rights: &Rights<'_>) -> Reconsidered {
        let items = std::mem::take(&mut self.items);
        self.slots.clear();
        self.postings.clear();
        self.barred = Barred::default();
        let mut before = Vec::with_capacity(items.len());
        for (position, item) in items {
            before.push((position, item.current));
            self.enter(position, item.record, rights);
        }
        let mut changes = Reconsidered::default();
        for (position, was) in before {
            match (was, self.items.get(&position).is_some_and(|item| item.current)) {
                (false, true) => changes.gained.push(position),
                (true, false) => changes.lost.push(position),
                (true, true) | (false, false) => {}
            }
        }
        changes
    }

    /// Takes an item off the offer that was on it.
    pub(super) fn bar(&mut self, position: Position) {
        self.retire(position);
        let Some(item) = self.items.get_mut(&position).filter(|item| !item.barred) else { return };
        item.barred = true;
        self.barred.add(position, &item.record);
        let slot = item.record.subject.identity.clone().map(|identity| (identity, item.record.is_entry));
        if let Some(slot) = slot.filter(|slot| self.slots.get(slot) == Some(&position)) {
            self.slots.remove(&slot);
        }
    }

    /// Whether this entry lists what is barred: an upstream may have derived it of that, and nobody answers for it.
    pub(super) fn lists_barred(&self, entry: &ItemRecord, weight: Weight) -> bool {
        let Some(identity) = entry.subject.identity.as_ref().filter(|_| is_announcement(entry)) else { return false };
        let is_as_new = |item: &Item| item.record.subject.revision >= entry.subject.revision;
        weight == Weight::Open
            && self.barred_of(identity, false).any(is_as_new)
            && !self.current(identity, false).is_some_and(is_as_new)
    }

    /// What may not go on of one identity and kind.
    pub fn barred_of(&self, identity: &ItemIdentity, is_entry: bool) -> impl Iterator<Item = &Item> {
        let positions = self.barred.slots.get(&(identity.clone(), is_entry)).into_iter().flatten();
        positions.filter_map(|position| self.items.get(position))
    }

    /// Whom that concerned which may not go on of one identity and kind; nothing if there is none.
    pub fn barred_reach(&self, identity: &ItemIdentity, is_entry: bool) -> Option<Reach> {
        let reaches = self.barred_of(identity, is_entry).map(|item| item.record.reach.clone());
        reaches.reduce(|all, one| all.join(&one))
    }

    /// Items that may not go on.
    pub fn barred(&self) -> usize {
        self.barred.count
    }
}
