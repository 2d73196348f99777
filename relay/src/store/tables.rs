//! The tables beside the log, in an embedded database of one file.
//!
//! Beside the tables of the machines it keeps one of its own: the incarnation, how far the log reached when the tables were last written, and up to
//! where it was trimmed. The database commits in two phases (quick repair), so a crash never rolls back a commit that returned. All rows are read when the
//! store opens; so that a damaged page is an error then and not a wrong row, the database checks all its pages first.

use std::{io, sync::Arc};

use bytes::Bytes;
use node::store::{Table, Write};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError, WriteTransaction};

use super::{
    disk::{Disk, File},
    error::OpenError,
};

/// The tables' file.
pub(super) const NAME: &str = "tables.redb";

/// The file's name until the tables in it are complete.
const NEW_NAME: &str = "tables.redb.new";

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Name → number, little-endian: what the store itself has to know again.
const OWN: TableDefinition<'static, &'static str, u128> = TableDefinition::new("store");
const INCARNATION: &str = "incarnation";
const HEAD: &str = "head";
const TRIMMED: &str = "trimmed";

/// The open tables. One writer.
pub(super) struct Tables {
    database: Database,
}

/// What the tables hold when they are opened.
pub(super) struct Known {
    pub(super) incarnation: u128,
    /// The log's last position when the tables were last written.
    pub(super) head: u64,
    /// Positions below are not needed any more.
    pub(super) trimmed: u64,
    pub(super) rows: Vec<(Table, Bytes, Bytes)>,
}

impl Tables {
    /// Whether there are tables in this directory.
    pub(super) fn exist(disk: &Arc<dyn Disk>) -> Result<bool, OpenError> {
        let names = disk.list().map_err(OpenError::io("directory"))?;
        Ok(names.iter().any(|name| name == NAME))
    }

    /// Makes empty tables under another name and renames them when they are whole, so that a crash leaves all of them or none.
    pub(super) fn create(disk: &Arc<dyn Disk>, cache_bytes: usize, incarnation: u128) -> Result<(), OpenError> {
        let names = disk.list().map_err(OpenError::io("directory"))?;
        if names.iter().any(|name| name == NEW_NAME) {
            disk.remove(NEW_NAME).map_err(OpenError::io(NEW_NAME))?;
        }
        let tables = Self::open(disk, NEW_NAME, cache_bytes)?;
        let created = tables.write(|transaction| {
            for table in Table::ALL {
                transaction.open_table(definition(table))?;
            }
            let mut own = transaction.open_table(OWN)?;
            own.insert(INCARNATION, incarnation)?;
            Ok(())
        });
        created.map_err(failed)?;
        drop(tables);
        disk.rename(NEW_NAME, NAME).map_err(OpenError::io(NAME))?;
        disk.sync_dir().map_err(OpenError::io("directory"))
    }

    /// Opens tables that exist.
    pub(super) fn open_existing(disk: &Arc<dyn Disk>, cache_bytes: usize) -> Result<Self, OpenError> {
        Self::open(disk, NAME, cache_bytes)
    }

    fn open(disk: &Arc<dyn Disk>, name: &str, cache_bytes: usize) -> Result<Self, OpenError> {
        let file = disk.open(name).map_err(OpenError::io(name))?;
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .set_check_integrity_on_open(true)
            .create_with_backend(Backend(file))
            .map_err(|error| failed(Box::new(error.into())))?;
        Ok(Self { database })
    }

    /// Reads everything.
    pub(super) fn known(&self) -> Result<Known, OpenError> {
        self.read_all().map_err(|error| failed(Box::new(error)))
    }

    fn read_all(&self) -> Result<Known, redb::Error> {
        let transaction = self.database.begin_read()?;
        let own = transaction.open_table(OWN)?;
        let number = |name| -> Result<u128, redb::Error> { Ok(own.get(name)?.map_or(0, |value| value.value())) };
        let mut rows = Vec::new();
        for table in Table::ALL {
            let opened = match transaction.open_table(definition(table)) {
                Ok(opened) => opened,
                // Made with the store's first write to it, when the store is older than the table.
                Err(TableError::TableDoesNotExist(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            for row in opened.iter()? {
                let (key, value) = row?;
                rows.push((table, Bytes::copy_from_slice(key.value()), Bytes::copy_from_slice(value.value())));
            }
        }
        Ok(Known {
            incarnation: number(INCARNATION)?,
            head: position(number(HEAD)?),
            trimmed: position(number(TRIMMED)?),
            rows,
        })
    }

    /// Applies the rows of a batch in one transaction, with the log's last position and trim point as they are after the batch.
    pub(super) fn commit(&self, writes: &[Write], head: u64, trimmed: u64) -> Result<(), Box<redb::Error>> {
        self.write(|transaction| {
            for table in Table::ALL {
                apply(transaction, table, writes)?;
            }
            let mut own = transaction.open_table(OWN)?;
            own.insert(HEAD, u128::from(head))?;
            own.insert(TRIMMED, u128::from(trimmed))?;
            Ok(())
        })
    }

    /// Gives the log another incarnation.
    pub(super) fn set_incarnation(&self, incarnation: u128) -> Result<(), OpenError> {
        let renewed = self.write(|transaction| {
            transaction.open_table(OWN)?.insert(INCARNATION, incarnation)?;
            Ok(())
        });
        renewed.map_err(failed)
    }

    fn write(&self, change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), Box<redb::Error>> {
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(Box::new)
    }
}

/// Applies the rows of one table, in their order.
fn apply(transaction: &WriteTransaction, table: Table, writes: &[Write]) -> Result<(), redb::Error> {
    let mut changes = writes.iter().filter_map(|write| match write {
        Write::Put { table: of, key, value } if *of == table => Some((key, Some(value))),
        Write::Delete { table: of, key } if *of == table => Some((key, None)),
        Write::Put { .. } | Write::Delete { .. } | Write::Append { .. } | Write::Trim { .. } | Write::Evict { .. } => {
            None
        }
    });
    let Some(first) = changes.next() else {
        return Ok(());
    };
    let mut rows = transaction.open_table(definition(table))?;
    for (key, value) in std::iter::once(first).chain(changes) {
        match value {
            Some(value) => rows.insert(&key[..], &value[..])?,
            None => rows.remove(&key[..])?,
        };
    }
    Ok(())
}

fn definition(table: Table) -> Rows {
    TableDefinition::new(match table {
        Table::Registrations => "registrations",
        Table::Cursors => "cursors",
        Table::Seen => "seen",
        Table::Meta => "meta",
        Table::Uplinks => "uplinks",
        Table::Names => "names",
        Table::Below => "below",
    })
}

/// Only positions are written under the names this is used for.
fn position(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn failed(source: Box<redb::Error>) -> OpenError {
    OpenError::Tables { file: NAME, source }
}

/// The database's view of its file. It takes no locks: the directory is locked.
#[derive(Debug)]
struct Backend(Box<dyn File>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
