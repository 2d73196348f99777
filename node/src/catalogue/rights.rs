//! Items that may not go on: kept, and on offer again when they may.

use std::collections::BTreeMap;

use schemas::digest::Digest;
use topology::subject::{Reach, Subject};

use super::{Bar, Catalogue, Item, Slot, is_announcement, slot_of};
use crate::ids::{Position, Time};
use crate::records::ItemRecord;
use crate::trust::{Reason, Signing, Trust, Verdict, Weight};

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

/// What becomes of an item beside the one of its identity and kind that has the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contest {
    /// The one that comes takes the place, as the newer one.
    Succeeds,
    /// It is older, and the other one keeps the place.
    IsOlder,
    /// It is newer, and may not take the place of the other one.
    MayNotSucceed,
    /// It is older, and takes the place all the same: somebody answers for it, and for the newer one nobody.
    Displaces,
}

impl Contest {
    /// Whether the one that comes has the place.
    pub fn is_won(self) -> bool {
        matches!(self, Self::Succeeds | Self::Displaces)
    }
}

impl<'a> Word<'a> {
    /// Of an item of the log.
    pub fn of(record: &'a ItemRecord) -> Self {
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

    /// Who of two has the place that may both go on by themselves. What somebody answers for has it before what nobody does,
    /// whichever came first. Of two that somebody answers for the newer one, if its signer may speak for whom the older one
    /// speaks; else the one that was there: nobody can take another's place by a lower revision.
    pub fn contest(&self, comes: Word<'_>, is_there: Word<'_>) -> Contest {
        let as_successor =
            |newer: Word<'_>, older: Word<'_>| self.trust.judge_successor(newer.signing, older.signing, self.at);
        if (comes.revision, comes.digest) > (is_there.revision, is_there.digest) {
            let may = as_successor(comes, is_there).passes();
            return if may { Contest::Succeeds } else { Contest::MayNotSucceed };
        }
        match as_successor(is_there, comes) {
            Verdict::Refused(Reason::Downgrade(_)) => Contest::Displaces,
            _ => Contest::IsOlder,
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
    /// What may not go on by itself, by what it is about, if it says.
    slots: BTreeMap<Slot, BarredSlot>,
}

#[derive(Debug, Default)]
struct BarredSlot {
    /// Revisions, each as often as it is here.
    revisions: BTreeMap<u64, usize>,
    /// Whom all of them concerned, and perhaps more.
    reach: Reach,
}

impl Barred {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// `by_itself`: not only beside another one.
    pub(super) fn add(&mut self, record: &ItemRecord, by_itself: bool) {
        self.count += 1;
        let Some(slot) = slot_of(record).filter(|_| by_itself) else { return };
        let barred = self.slots.entry(slot).or_default();
        *barred.revisions.entry(record.subject.revision).or_default() += 1;
        barred.reach = barred.reach.join(&record.reach);
    }

    pub(super) fn remove(&mut self, record: &ItemRecord, by_itself: bool) {
        self.count -= 1;
        let Some(slot) = slot_of(record).filter(|_| by_itself) else { return };
        let Some(barred) = self.slots.get_mut(&slot) else { return };
        if let Some(count) = barred.revisions.get_mut(&record.subject.revision) {
            *count -= 1;
        }
        barred.revisions.retain(|_, count| *count > 0);
        if barred.revisions.is_empty() {
            self.slots.remove(&slot);
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

    /// Takes an item off the offer that may go on by itself, and not beside what is here.
    pub(super) fn bar(&mut self, position: Position) {
        self.retire(position);
        let Some(item) = self.items.get_mut(&position).filter(|item| item.barred.is_none()) else { return };
        item.barred = Some(Bar::Beside);
        self.barred.add(&item.record, false);
        self.vacate(position);
    }

    /// Whether this entry lists what may not go on: an upstream may have derived it of that, and nobody answers for it.
    pub(super) fn lists_barred(&self, entry: &ItemRecord, weight: Weight) -> bool {
        let Some(identity) = entry.subject.identity.clone().filter(|_| is_announcement(entry)) else { return false };
        let revision = entry.subject.revision;
        let has_place = |content: &Item| content.record.subject.revision >= revision;
        weight == Weight::Open
            && !self.current(&identity, false).is_some_and(has_place)
            && self.barred.slots.get(&(identity, false)).is_some_and(|barred| barred.revisions.contains_key(&revision))
    }

    /// Whom that concerned which may not go on of one identity and kind; nothing if there is none.
    pub fn barred_reach(&self, slot: &Slot) -> Option<&Reach> {
        self.barred.slots.get(slot).map(|barred| &barred.reach)
    }

    /// Items that may not go on.
    pub fn barred(&self) -> usize {
        self.barred.count
    }
}
