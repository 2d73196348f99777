//! A server's store in memory: what was not synced when the server died is gone, or torn.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use node::ids::Ticket;
use node::store::{Recovered, Table, Write};
use schemas::digest::Digest;

use crate::faults::Random;

/// What survives, and what does not yet.
#[derive(Debug)]
pub(super) struct Disk {
    incarnation: u128,
    durable: Durable,
    unsynced: VecDeque<(Ticket, Vec<Write>)>,
    /// Whether syncs are acknowledged before they are made.
    pub(super) lies: bool,
    /// Whether the next sync is refused.
    pub(super) full: bool,
    /// What reads see: everything written, synced or not.
    written: BTreeMap<u64, Bytes>,
    /// Where items stand in the log, what was trimmed included.
    places: BTreeMap<Digest, u64>,
}

/// What survives.
#[derive(Debug, Default)]
struct Durable {
    log: BTreeMap<u64, (Bytes, Bytes)>,
    rows: BTreeMap<(Table, Bytes), Bytes>,
    places: BTreeMap<Digest, u64>,
}

/// Items in one segment of the log: trimming takes whole segments.
const SEGMENT_ITEMS: u64 = 4;

impl Disk {
    pub(super) fn new(incarnation: u128, lies: bool) -> Self {
        Self {
            incarnation,
            durable: Durable::default(),
            unsynced: VecDeque::new(),
            lies,
            full: false,
            written: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    pub(super) fn write(&mut self, ticket: Ticket, writes: Vec<Write>) {
        for write in &writes {
            if let Write::Append { position, item, .. } = write {
                self.written.insert(*position, item.clone());
                self.places.insert(Digest::of(item), *position);
            }
        }
        self.unsynced.push_back((ticket, writes));
    }

    /// Makes everything up to a ticket durable, as one group. A disk that lies does it later, by [`Self::flush`].
    pub(super) fn sync(&mut self, through: Ticket) {
        if !self.lies {
            self.flush(through);
        }
    }

    pub(super) fn flush(&mut self, through: Ticket) {
        while let Some((ticket, _)) = self.unsynced.front()
            && *ticket <= through
            && let Some((_, writes)) = self.unsynced.pop_front()
        {
            for write in &writes {
                self.durable.apply(write);
                match write {
                    Write::Trim { below } => self.written.retain(|position, _| position >= below),
                    Write::Evict { positions } => self.written.retain(|position, _| !positions.contains(position)),
                    Write::Append { .. } | Write::Put { .. } | Write::Delete { .. } => {}
                }
            }
        }
    }

    /// Where an item stands in the log, or stood before it was trimmed.
    pub(super) fn place_of(&self, item: Digest) -> Option<u64> {
        self.places.get(&item).copied()
    }

    pub(super) fn read(&self, position: u64) -> Option<Bytes> {
        self.written.get(&position).cloned()
    }

    /// The server died. Nothing that was not synced is left, or the first groups of it: a batch is whole or absent.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let left = if random.one_in(2) { 0 } else { random.below(self.unsynced.len() as u64 + 1) };
        let keep = if self.lies { 0 } else { usize::try_from(left).unwrap_or(0) };
        for (_, writes) in self.unsynced.drain(..).take(keep) {
            writes.iter().for_each(|write| self.durable.apply(write));
        }
        let log = &self.durable.log;
        self.written = log.iter().map(|(position, (_, item))| (*position, item.clone())).collect();
        self.places.clone_from(&self.durable.places);
    }

    pub(super) fn recovered(&self) -> Recovered {
        let Durable { log, rows, .. } = &self.durable;
        Recovered {
            incarnation: self.incarnation,
            records: log.iter().map(|(position, (record, _))| (*position, record.clone())).collect(),
            lost: Vec::new(),
            rows: rows.iter().map(|((table, key), value)| (*table, key.clone(), value.clone())).collect(),
        }
    }
}

impl Durable {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Append { position, record, item } => {
                self.log.insert(*position, (record.clone(), item.clone()));
                self.places.insert(Digest::of(item), *position);
            }
            Write::Put { table, key, value } => {
                self.rows.insert((*table, key.clone()), value.clone());
            }
            Write::Delete { table, key } => {
                self.rows.remove(&(*table, key.clone()));
            }
            Write::Trim { below } => {
                let first = below / SEGMENT_ITEMS * SEGMENT_ITEMS;
                self.log.retain(|position, _| *position >= first);
            }
            // The room of some is never taken back: after a restart they are there again.
            Write::Evict { positions } => {
                self.log.retain(|position, _| position.is_multiple_of(2) || !positions.contains(position));
            }
        }
    }
}
