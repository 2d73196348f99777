//! Disks that fill up and syncs that fail.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tempfile::tempdir;

use super::{OPTIONS, append, item, open, positions, put};
use crate::store::{
    RealDisk, Store, StoreError,
    disk::{Disk, File},
    segment,
};

/// What the failing disk has left.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Bytes that may still be written to the log.
    pub(super) log_quota: AtomicU64,
    pub(super) log_sync_fails: AtomicBool,
    pub(super) dir_sync_fails: AtomicBool,
    pub(super) map_fails: AtomicBool,
    tables_fail: AtomicBool,
}

#[derive(Debug)]
struct FailingDisk {
    disk: RealDisk,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct FailingFile {
    file: Box<dyn File>,
    of_log: bool,
    faults: Arc<Faults>,
}

impl Disk for FailingDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let of_log = name.starts_with(segment::NAME_PREFIX);
        Ok(Box::new(FailingFile { file: self.disk.open(name)?, of_log, faults: Arc::clone(&self.faults) }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.faults.dir_sync_fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the sync failed"));
        }
        self.disk.sync_dir()
    }
}

impl File for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.of_log {
            return self.check_tables().and_then(|()| self.file.write_at(offset, bytes));
        }
        let quota = self.faults.log_quota.load(Ordering::Relaxed);
        let fits = bytes.len().min(usize::try_from(quota).unwrap());
        self.file.write_at(offset, &bytes[..fits])?;
        self.faults.log_quota.store(quota - fits as u64, Ordering::Relaxed);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.of_log && self.faults.log_sync_fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the sync failed"));
        }
        if !self.of_log {
            self.check_tables()?;
        }
        self.file.sync_data()
    }

    fn map(&self) -> io::Result<Bytes> {
        if self.faults.map_fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.file.map()
    }
}

impl FailingFile {
    fn check_tables(&self) -> io::Result<()> {
        if self.faults.tables_fail.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

pub(super) fn open_failing(directory: &Path) -> (Store, Arc<Faults>) {
    let faults = Arc::new(Faults { log_quota: AtomicU64::new(1 << 30), ..Faults::default() });
    let disk = FailingDisk { disk: RealDisk::open(directory).unwrap(), faults: Arc::clone(&faults) };
    (Store::open(Arc::new(disk), OPTIONS, 9).unwrap().0, faults)
}

#[test]
fn a_full_disk_refuses_the_batch_and_the_store_goes_on_when_there_is_room() {
    // The quota runs out in the header of a segment, in that of a record, in its body, and one byte short.
    for quota in [0, 1, 95, 96, 100, 170, 500, 863, 880, 1000] {
        for stored_before in [0, 1, 3] {
            let directory = tempdir().unwrap();
            let (mut store, faults) = open_failing(directory.path());
            for position in 1..=stored_before {
                store.commit(&[append(position), put("head", "ok")]).unwrap();
            }
            faults.log_quota.store(quota, Ordering::Relaxed);
            for attempt in 10..13 {
                let refused = store.commit(&[append(attempt), append(attempt + 10), put("head", "lost")]);
                assert!(matches!(refused, Err(StoreError::Log(_))), "quota {quota}");
                assert_eq!(store.reader().read(attempt), None);
            }
            assert_readable(&store, 1..=stored_before);
            faults.log_quota.store(1 << 30, Ordering::Relaxed);
            store.commit(&[append(30), put("head", "later")]).unwrap();
            drop(store);

            let (store, recovered) = open(directory.path());
            let expected: Vec<u64> = (1..=stored_before).chain([30]).collect();
            assert_eq!(positions(&recovered), expected, "quota {quota}");
            assert_eq!(recovered.rows[0].2, "later");
            assert_readable(&store, expected);
        }
    }
}

#[test]
fn a_batch_whose_sync_failed_never_comes_back_behind_a_later_one() {
    let directory = tempdir().unwrap();
    let (mut store, faults) = open_failing(directory.path());
    store.commit(&[append(1)]).unwrap();
    faults.log_sync_fails.store(true, Ordering::Relaxed);
    for attempt in 0..5 {
        assert!(matches!(store.commit(&[append(2)]), Err(StoreError::Log(_))), "attempt {attempt}");
    }
    assert_eq!((store.reader().read(1), store.reader().read(2)), (Some(item(1, 700)), None));
    faults.log_sync_fails.store(false, Ordering::Relaxed);
    store.commit(&[append(3)]).unwrap();
    drop(store);
    let (store, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), [1, 3]);
    assert_readable(&store, [1, 3]);
    assert!(super::segments(directory.path()).len() <= 3, "attempts leave no files behind");
}

#[test]
fn a_failure_of_the_tables_poisons_the_store_until_it_is_reopened() {
    let directory = tempdir().unwrap();
    let (mut store, faults) = open_failing(directory.path());
    store.commit(&[append(1), put("a", "1")]).unwrap();
    faults.tables_fail.store(true, Ordering::Relaxed);
    assert!(matches!(store.commit(&[append(2), put("a", "2"), put("b", "2")]), Err(StoreError::Tables(_))));
    faults.tables_fail.store(false, Ordering::Relaxed);
    assert!(matches!(store.commit(&[append(3)]), Err(StoreError::Poisoned)));
    assert_eq!((store.reader().read(1), store.reader().read(2)), (Some(item(1, 700)), None));
    drop(store);

    let (mut store, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), [1, 2], "the log comes before the tables");
    assert_eq!(recovered.rows.len(), 1, "a transaction is whole or not there");
    store.commit(&[append(3), put("a", "3")]).unwrap();
}

fn assert_readable(store: &Store, positions: impl IntoIterator<Item = u64>) {
    for position in positions {
        assert_eq!(store.reader().read(position), Some(item(position, 700)));
    }
}
