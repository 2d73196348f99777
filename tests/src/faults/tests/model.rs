//! What a store must hold: a plain model of its promises.

use std::collections::BTreeMap;

use bytes::Bytes;
use node::store::{Recovered, Table, Write};
use relay::store::Reader;

use crate::faults::Random;

/// The contents of a store.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Record and item by position.
    items: BTreeMap<u64, (Bytes, Bytes)>,
    /// What was evicted; after a restart it may be there again.
    evicted: BTreeMap<u64, (Bytes, Bytes)>,
    rows: BTreeMap<(Table, Bytes), Bytes>,
}

impl Model {
    /// What a store that was just opened holds. Every item must be readable.
    pub(super) fn of(recovered: &Recovered, reader: &Reader) -> Result<Self, String> {
        let mut model = Self::default();
        for (position, record) in &recovered.records {
            let item = reader.read(*position).ok_or(format!("no item at {position}"))?;
            model.items.insert(*position, (record.clone(), item));
        }
        for (table, key, value) in &recovered.rows {
            model.rows.insert((*table, key.clone()), value.clone());
        }
        Ok(model)
    }

    /// Whether a store that was just opened, and holds `found`, may be this one.
    pub(super) fn may_be(&self, found: &Self) -> bool {
        let is_known = |(position, item): (&u64, _)| {
            self.items.get(position).or_else(|| self.evicted.get(position)).is_some_and(|known| known == item)
        };
        let is_there = |position: &u64| found.items.contains_key(position);
        self.rows == found.rows && self.items.keys().all(is_there) && found.items.iter().all(is_known)
    }

    /// Applies the items of a batch, as after a crash between log and tables.
    pub(super) fn with_items(mut self, batch: &[Write]) -> Self {
        for write in batch {
            if let Write::Append { position, record, item } = write {
                self.items.insert(*position, (record.clone(), item.clone()));
            }
        }
        self
    }

    /// What is known once it was opened.
    pub(super) fn recovered(mut self, found: Self) -> Self {
        self.evicted.retain(|position, _| !found.items.contains_key(position));
        Self { evicted: self.evicted, ..found }
    }

    /// Applies a whole batch.
    pub(super) fn with_all(self, batch: &[Write]) -> Self {
        let mut model = self.with_items(batch);
        for write in batch {
            match write {
                Write::Put { table, key, value } => {
                    model.rows.insert((*table, key.clone()), value.clone());
                }
                Write::Delete { table, key } => {
                    model.rows.remove(&(*table, key.clone()));
                }
                Write::Trim { below } => {
                    model.items = model.items.split_off(below);
                    model.evicted = model.evicted.split_off(below);
                }
                Write::Evict { positions } => {
                    let evicted = positions.iter().filter_map(|position| model.items.remove_entry(position));
                    model.evicted.extend(evicted);
                }
                Write::Append { .. } => {}
            }
        }
        model
    }

    /// Whether a reader gives exactly the items.
    pub(super) fn is_read(&self, reader: &Reader, up_to: u64) -> bool {
        (0..=up_to).all(|position| reader.read(position) == self.items.get(&position).map(|(_, item)| item.clone()))
    }
}

/// A random batch whose positions follow `position`, which is raised.
pub(super) fn batch(random: &mut Random, position: &mut u64) -> Vec<Write> {
    let mut writes = Vec::new();
    for _ in 0..random.below(4) {
        *position += 1 + random.below(3);
        let len = if random.one_in(10) { 9_000 } else { random.below(1_500) };
        let record = format!("record {position}").into();
        writes.push(Write::Append { position: *position, record, item: bytes(random, len) });
    }
    for _ in 0..random.below(4) {
        let table = Table::ALL[random.below(Table::ALL.len() as u64) as usize];
        let key = format!("key {}", random.below(6)).into();
        let len = random.below(300);
        writes.push(if random.one_in(4) {
            Write::Delete { table, key }
        } else {
            Write::Put { table, key, value: bytes(random, len) }
        });
    }
    if random.one_in(2) {
        writes.push(Write::Evict { positions: (0..8).map(|_| position.saturating_sub(random.below(30))).collect() });
    }
    if random.one_in(5) {
        // At the end of the batch and never beyond its last item, where the model need not know about clamping.
        writes.push(Write::Trim { below: position.saturating_sub(random.below(12)) });
    }
    writes
}

fn bytes(random: &mut Random, len: u64) -> Bytes {
    (0..len).map(|_| random.next_u64() as u8).collect()
}
