//! The durable store: a log of items in segments, and tables beside it.
//!
//! # What a commit promises
//!
//! When [`Store::commit`] returns `Ok`, its writes survive a crash of the process and, as far as the disk keeps its word about a sync, of the machine. The order is
//! log, then tables, then readers:
//!
//! * After a crash in between, a batch's items may be in the log without its rows; never the other way round. So rows never speak of a position that
//!   the log does not have, and a whole batch of items is there or none of it.
//! * [`StoreError::Order`] and [`StoreError::TooLarge`]: nothing was written.
//! * [`StoreError::Log`] (a full disk, a failed sync): no reader sees anything of the batch and no row of it was written. The segment is given up at its last
//!   durable byte and the next commit begins another, so the store works again when the disk does. From that next success on, the refused batch cannot
//!   come back; a restart before it may find the batch's items, all or none, like those of any commit that was under way.
//! * [`StoreError::Tables`]: no reader sees anything of the batch, and every later commit fails ([`StoreError::Poisoned`]) until the store is opened again; then the
//!   batch's items are there (they were durable before the tables were tried), with or without its rows.
//! * What an earlier commit stored is not touched by any of these, and can be read all the while.
//!
//! # On disk
//!
//! `log-*.seg` as drawn in [`segment`], `tables.redb` as described in `tables`. An item that was durable once and does not match its checksum any more is
//! named in the log, with file and byte, and reported as [`node::store::Lost`]: everything else is served. Damage that leaves more in doubt (a segment's
//! header, a file that is missing or too short, a log that ends below what the tables know) is an [`OpenError`]; the store is never opened around it.
//!
//! # What goes
//!
//! What is trimmed or evicted is not served from the commit on. Segments below a trim are removed at once; the room of evicted items comes back by
//! [`Store::compact`]. Only trimming is durable: items that were evicted are there again after a restart, unless their segment was compacted.

pub mod disk;
pub mod segment;
pub mod thread;

mod compact;
mod error;
mod index;
mod log;
mod real;
mod recover;
mod scan;
mod tables;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use node::store::{Recovered, Write};

use self::{
    disk::Disk,
    log::{Item, Log},
    recover::Records,
    tables::Tables,
};
pub use self::{
    error::{OpenError, StoreError},
    index::Reader,
    real::RealDisk,
};

/// How a store uses memory and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes at which a segment is sealed; a larger batch gets a segment of its own. Up to then its items stay in memory: this many bytes, if items own their
    /// bytes and are not small slices of large buffers.
    pub segment_bytes: u64,
    /// Bytes of the tables that may be cached in memory.
    pub table_cache_bytes: usize,
}

impl Default for Options {
    /// 8 MiB segments: large enough that the two syncs that begin one do not count, small enough to stay in memory. 16 MiB of cache.
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, table_cache_bytes: 16 << 20 }
    }
}

/// The largest record, item, key or value in bytes. The format has 32-bit lengths; half of that leaves room for the sums.
pub const FIELD_BYTES_MAX: u32 = 1 << 31;

/// The store of one node. One writer; see [`thread::StoreThread`] for sharing it, [`Reader`] for reading.
pub struct Store {
    log: Log,
    tables: Tables,
    trimmed: u64,
    /// The last commit failed in the tables, so what they hold is not known.
    poisoned: bool,
}

impl Store {
    /// Opens the store in this directory, making one if the directory has none. `fresh_incarnation` is random and new for each call: a store that is made gets it as its
    /// incarnation, and new segments are salted with it.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        fresh_incarnation: u128,
    ) -> Result<(Self, Recovered), OpenError> {
        if !Tables::exist(&disk)? {
            refuse_log_without_tables(&disk)?;
            Tables::create(&disk, options.table_cache_bytes, fresh_incarnation)?;
        }
        let tables = Tables::open_existing(&disk, options.table_cache_bytes)?;
        let known = tables.known()?;
        let (mut log, found) = Log::open(disk, options.segment_bytes, fresh_incarnation, &known)?;
        if log.last() < known.head && known.head >= known.trimmed {
            return Err(OpenError::LogBehindTables { log: log.last(), tables: known.head });
        }
        log.continue_after(known.head);
        log.trim(known.trimmed);
        let store = Self { log, tables, trimmed: known.trimmed, poisoned: false };
        let Records { records, lost } = found;
        let recovered = Recovered { incarnation: known.incarnation, records, lost, rows: known.rows };
        Ok((store, recovered))
    }

    /// Makes a batch durable, as the head of this module says. Writes to one row apply in their order. A batch without items does not touch the log, one
    /// without rows and trimming does not touch the tables. A trim beyond the last item counts as far as the last item.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let batch = Batch::check(writes, self.log.last())?;
        let trimmed = self.trimmed.max(batch.trim_below.min(batch.head.saturating_add(1)));
        let staged =
            if batch.items.is_empty() { None } else { Some(self.log.append(&batch.items).map_err(StoreError::Log)?) };
        if batch.has_rows || trimmed > self.trimmed {
            self.poisoned = true;
            self.tables.commit(writes, batch.head, trimmed).map_err(StoreError::Tables)?;
            self.poisoned = false;
        }
        if let Some(staged) = staged {
            self.log.publish(staged);
        }
        if trimmed > self.trimmed {
            self.trimmed = trimmed;
            self.log.trim(trimmed);
        }
        if !batch.evicted.is_empty() {
            self.log.evict(batch.evicted);
        }
        Ok(())
    }

    /// Takes back room of what was evicted, so many bytes; nothing if there is no more to take. Writes at most [`Options::segment_bytes`] at a time, or one
    /// larger batch.
    pub fn compact(&mut self) -> Option<u64> {
        self.log.compact()
    }

    /// A reader of what is committed. Readers outlive the store.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.log.reader()
    }
}

/// Gives the store in this directory a new incarnation, after a restore from a backup: those who were further along the lost log then learn that it is another
/// one. `fresh_incarnation` is random. The store must not be open.
pub fn renew_incarnation(directory: &Path, fresh_incarnation: u128) -> Result<(), OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory)?);
    if !Tables::exist(&disk)? {
        return Err(OpenError::Missing { file: tables::NAME.to_owned() });
    }
    Tables::open_existing(&disk, Options::default().table_cache_bytes)?.set_incarnation(fresh_incarnation)
}

/// The tables are made before the first segment, so a segment without them is what is left of a store.
fn refuse_log_without_tables(disk: &Arc<dyn Disk>) -> Result<(), OpenError> {
    let names = disk.list().map_err(OpenError::io("directory"))?;
    if names.iter().any(|name| segment::sequence_of(name).is_some()) {
        return Err(OpenError::Missing { file: tables::NAME.to_owned() });
    }
    Ok(())
}

/// The writes of a commit, found to be in order.
struct Batch<'a> {
    items: Vec<Item<'a>>,
    has_rows: bool,
    /// The log's last position after the batch.
    head: u64,
    trim_below: u64,
    evicted: Vec<u64>,
}

impl<'a> Batch<'a> {
    fn check(writes: &'a [Write], last: u64) -> Result<Self, StoreError> {
        let mut batch = Self { items: Vec::new(), has_rows: false, head: last, trim_below: 0, evicted: Vec::new() };
        for write in writes {
            match write {
                Write::Append { position, record, item } => {
                    let item = Item {
                        position: *position,
                        record: (record, field_len(record)?),
                        item: (item, field_len(item)?),
                    };
                    batch.append(item)?;
                }
                Write::Put { key, value, .. } => {
                    field_len(key)?;
                    field_len(value)?;
                    batch.has_rows = true;
                }
                Write::Delete { .. } => batch.has_rows = true,
                Write::Trim { below } => batch.trim_below = batch.trim_below.max(*below),
                Write::Evict { positions } => batch.evicted.extend(positions),
            }
        }
        Ok(batch)
    }

    fn append(&mut self, item: Item<'a>) -> Result<(), StoreError> {
        if item.position <= self.head {
            return Err(StoreError::Order { position: item.position, last: self.head });
        }
        self.head = item.position;
        self.items.push(item);
        Ok(())
    }
}

fn field_len(bytes: &[u8]) -> Result<u32, StoreError> {
    match u32::try_from(bytes.len()) {
        Ok(len) if len <= FIELD_BYTES_MAX => Ok(len),
        Ok(_) | Err(_) => Err(StoreError::TooLarge { bytes: bytes.len(), max: FIELD_BYTES_MAX as usize }),
    }
}
