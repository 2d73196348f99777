//! How much there may be, and what goes when there is more: first what others have replaced, then the oldest.

use super::{Bar, Catalogue, Item, TRIMMED_KEYS_MAX, remove_postings, slot_of};
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
    /// Forgets items that may go and that others have replaced for good, the oldest first, until no more than `keep` are left; they
    /// may go in the order of the log. Nobody misses them: everybody skips them already.
    pub fn evict(&mut self, keep: Size, may_go: impl Fn(&ItemRecord) -> bool) -> Vec<(Position, Item)> {
        if !self.size().exceeds(keep) {
            return Vec::new();
        }
        let may_go = self.iter().take_while(|(_, item)| may_go(&item.record));
        let replaced = may_go.filter(|(position, item)| self.is_replaced(*position, item));
        let replaced: Vec<Position> = replaced.map(|(position, _)| position).collect();
        let mut evicted = Vec::new();
        for position in replaced {
            if !self.size().exceeds(keep) {
                break;
            }
            evicted.extend(self.remove(position).map(|item| (position, item)));
        }
        evicted
    }

    /// Whether another has this item's place, and keeps it from this one whoever is trusted: both are signed alike, so as long as the
    /// older one might stand, the newer one does.
    fn is_replaced(&self, position: Position, item: &Item) -> bool {
        let holder = || {
            let holder = self.slots.get(&slot_of(&item.record)?).filter(|holder| **holder != position)?;
            self.items.get(holder)
        };
        !item.current
            && item.barred.is_none()
            && holder().is_some_and(|holder| holder.record.signing == item.record.signing)
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
