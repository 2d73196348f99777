//! How much there may be, and what goes when there is more: first what others have replaced, then the oldest.

use std::collections::BTreeSet;

use super::{Bar, Catalogue, Item, TRIMMED_KEYS_MAX, is_announcement, remove_postings, slot_of};
use crate::ids::Position;
use crate::records::ItemRecord;

/// How much a catalogue holds, or may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Items.
    pub items: usize,
    /// Their bytes in the log.
    pub bytes: u64,
}

impl Size {
    /// Whether there is more of anything than `other` has.
    pub fn exceeds(self, other: Self) -> bool {
        self.items > other.items || self.bytes > other.bytes
    }
}

/// What was trimmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Everything up to here.
    pub floor: Position,
    /// What is gone, oldest first.
    pub items: Vec<(Position, Item)>,
}

impl Catalogue {
    /// Forgets items that may go and that others have replaced for good, the oldest first, until no more than `keep` are left.
    /// Nobody misses them: everybody skips them already.
    pub fn evict(&mut self, keep: Size, may_go: impl Fn(&ItemRecord) -> bool) -> Vec<(Position, Item)> {
        if !self.size().exceeds(keep) {
            return Vec::new();
        }
        let mut evicted = Vec::new();
        for position in self.replaced_for_good(may_go) {
            if !self.size().exceeds(keep) {
                break;
            }
            evicted.extend(self.remove(position).map(|item| (position, item)));
        }
        evicted
    }

    /// The items that may go in whose place others stand, whoever is trusted: all that is kept of their slot is signed alike, so
    /// as long as one of them might stand, the one that does now would. What an upstream lists goes by what it lists, and stays.
    fn replaced_for_good(&self, may_go: impl Fn(&ItemRecord) -> bool) -> Vec<Position> {
        let (mut replaced, mut mixed) = (Vec::new(), BTreeSet::new());
        for (position, item) in self.iter().filter(|(_, item)| !item.current) {
            let Some(slot) = slot_of(&item.record) else { continue };
            let holder = self.slots.get(&slot).filter(|holder| **holder != position);
            let Some(holder) = holder.and_then(|holder| self.items.get(holder)) else { continue };
            let stays = item.barred.is_some() || is_announcement(&item.record) || !may_go(&item.record);
            if holder.record.signing != item.record.signing {
                mixed.insert(slot);
            } else if !stays {
                replaced.push((position, slot));
            }
        }
        replaced.into_iter().filter(|(_, slot)| !mixed.contains(slot)).map(|(position, _)| position).collect()
    }

    /// Forgets the oldest items that may go until no more than `keep` are left; `None` if there is none.
    pub fn trim(&mut self, keep: Size, may_go: impl Fn(&ItemRecord) -> bool) -> Option<Trimmed> {
        let mut items = Vec::new();
        while self.size().exceeds(keep)
            && let Some(oldest) = self.items.first_entry().filter(|oldest| may_go(&oldest.get().record))
        {
            let position = *oldest.key();
            let Some(item) = self.remove(position) else { break };
            items.push((position, item));
        }
        let floor = items.last()?.0;
        Some(Trimmed { floor, items })
    }

    /// Forgets an item whose bytes are lost, wherever it stands, as if it had been trimmed; `None` if it is not there.
    pub fn lose(&mut self, position: Position) -> Option<Trimmed> {
        let item = self.remove(position)?;
        Some(Trimmed { floor: position, items: vec![(position, item)] })
    }

    /// Something up to here is lost of which nothing is known: whoever has not come so far may miss it.
    pub fn lose_unknown(&mut self, position: Position) {
        self.head = position.max(self.head);
        self.trimmed_before = position.max(self.trimmed_before);
    }

    pub(super) fn remove(&mut self, position: Position) -> Option<Item> {
        self.vacate(position);
        let item = self.items.remove(&position)?;
        self.bytes -= item.record.bytes;
        if self.digests.get(&item.record.digest) == Some(&position) {
            self.digests.remove(&item.record.digest);
        }
        if item.current {
            self.forget_current(position, &item.record);
        }
        if let Some(bar) = item.barred {
            self.barred.remove(&item.record, bar == Bar::Own);
        }
        Some(item)
    }

    fn forget_current(&mut self, position: Position, record: &ItemRecord) {
        remove_postings(&mut self.postings, position, record);
        for key in record.reach.keys() {
            let trimmed = &mut self.trimmed.entry(key).or_default()[record.class];
            // What is lost may stand anywhere.
            *trimmed = position.max(*trimmed);
        }
        if self.trimmed.len() > TRIMMED_KEYS_MAX {
            // Errs towards behind, and stays small.
            self.trimmed_before =
                self.trimmed.values().flat_map(|of| of.iter().map(|(_, at)| *at)).max().unwrap_or(position);
            self.trimmed.clear();
        }
    }
}
