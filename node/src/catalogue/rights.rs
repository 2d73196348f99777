//! Items that may not go on: kept, and on offer again when they may.

use super::{Catalogue, Item};
use crate::ids::Position;
use crate::records::ItemRecord;

/// What a change of rights changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconsidered {
    /// On offer now, and not before.
    pub gained: Vec<Position>,
    /// On offer before, and not now.
    pub lost: Vec<Position>,
}

impl Catalogue {
    /// Keeps the next item of the log, which may not go on.
    pub fn insert_barred(&mut self, position: Position, record: ItemRecord) {
        debug_assert!(position > self.head, "positions ascend");
        self.head = position;
        self.barred += 1;
        self.digests.insert(record.digest, position);
        self.items.insert(position, Item { record, current: false, barred: true });
    }

    /// Decides of every item again whether it may go on, given what it would take the place of. Then the catalogue is as if
    /// those that may not had never come: what they had replaced is on offer again. Reads records only.
    pub fn reconsider(&mut self, may_go_on: impl Fn(&ItemRecord, Option<&ItemRecord>) -> bool) -> Reconsidered {
        let items = std::mem::take(&mut self.items);
        self.slots.clear();
        self.postings.clear();
        self.barred = 0;
        let mut before = Vec::with_capacity(items.len());
        for (position, item) in items {
            before.push((position, item.current));
            let barred = !may_go_on(&item.record, self.predecessor(&item.record));
            let current = !barred && self.place(position, &item.record).current;
            self.barred += usize::from(barred);
            self.items.insert(position, Item { record: item.record, current, barred });
        }
        let mut changes = Reconsidered::default();
        for (position, was) in before {
            match (was, self.items.get(&position).is_some_and(|item| item.current)) {
                (false, true) => changes.gained.push(position),
                (true, false) => changes.lost.push(position),
                _ => {}
            }
        }
        changes
    }

    /// What an item would take the place of.
    pub fn predecessor(&self, record: &ItemRecord) -> Option<&ItemRecord> {
        self.current(record.subject.identity.as_ref()?, record.is_entry).map(|item| &item.record)
    }

    /// Items that may not go on.
    pub fn barred(&self) -> usize {
        self.barred
    }
}
