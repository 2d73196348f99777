//! A server's store in memory: what was not synced when the server died is gone, or torn.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use node::ids::Ticket;
use node::store::{Recovered, Table, Write};

use crate::faults::Random;

/// What survives, and what does not yet.
#[derive(Debug)]
pub(super) struct Disk {
    incarnation: u128,
    log: BTreeMap<u64, (Bytes, Bytes)>,
    rows: BTreeMap<(Table, Bytes), Bytes>,
    unsynced: VecDeque<(Ticket, Vec<Write>)>,
    /// Whether syncs are acknowledged before they are made.
    pub(super) lies: bool,
    /// What reads see: everything written, synced or not.
    written: BTreeMap<u64, Bytes>,
}

impl Disk {
    pub(super) fn new(incarnation: u128, lies: bool) -> Self {
        Self {
            incarnation,
            log: BTreeMap::new(),
            rows: BTreeMap::new(),
            unsynced: VecDeque::new(),
            lies,
            written: BTreeMap::new(),
        }
    }

    pub(super) fn write(&mut self, ticket: Ticket, writes: Vec<Write>) {
        for write in &writes {
            if let Write::Append { position, item, .. } = write {
                self.written.insert(*position, item.clone());
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
            writes.iter().for_each(|write| apply(&mut self.log, &mut self.rows, write));
        }
    }

    pub(super) fn read(&self, position: u64) -> Option<Bytes> {
        self.written.get(&position).cloned()
    }

    /// The server died. Nothing that was not synced is left, or the first groups of it: a batch is whole or absent.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let left = if random.one_in(2) { 0 } else { random.below(self.unsynced.len() as u64 + 1) };
        let keep = if self.lies { 0 } else { usize::try_from(left).unwrap_or(0) };
        for (_, writes) in self.unsynced.drain(..).take(keep) {
            writes.iter().for_each(|write| apply(&mut self.log, &mut self.rows, write));
        }
        self.written = self.log.iter().map(|(position, (_, item))| (*position, item.clone())).collect();
    }

    pub(super) fn recovered(&self) -> Recovered {
        Recovered {
            incarnation: self.incarnation,
            records: self.log.iter().map(|(position, (record, _))| (*position, record.clone())).collect(),
            rows: self.rows.iter().map(|((table, key), value)| (*table, key.clone(), value.clone())).collect(),
        }
    }
}

fn apply(log: &mut BTreeMap<u64, (Bytes, Bytes)>, rows: &mut BTreeMap<(Table, Bytes), Bytes>, write: &Write) {
    match write {
        Write::Append { position, record, item } => {
            log.insert(*position, (record.clone(), item.clone()));
        }
        Write::Put { table, key, value } => {
            rows.insert((*table, key.clone()), value.clone());
        }
        Write::Delete { table, key } => {
            rows.remove(&(*table, key.clone()));
        }
        Write::Trim { below } => log.retain(|position, _| position >= below),
    }
}
