//! The store over a real directory and over disks that fail.

mod compact;
mod damage;
mod failure;
mod lifetime;
mod thread;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use node::store::{Recovered, Table, Write};

use super::{OpenError, Options, RealDisk, Store};

/// Segments small enough that a few items fill one.
const OPTIONS: Options = Options { segment_bytes: 4096, table_cache_bytes: 1 << 20 };

fn open(directory: &Path) -> (Store, Recovered) {
    try_open(directory).unwrap()
}

fn try_open(directory: &Path) -> Result<(Store, Recovered), OpenError> {
    Store::open(Arc::new(RealDisk::open(directory)?), OPTIONS, 7)
}

/// An item whose bytes follow from its position, so that a test can tell it from any other.
fn append(position: u64) -> Write {
    append_sized(position, 700)
}

fn append_sized(position: u64, len: usize) -> Write {
    Write::Append { position, record: record(position), item: item(position, len) }
}

fn record(position: u64) -> Bytes {
    format!("record {position}").into()
}

fn item(position: u64, len: usize) -> Bytes {
    format!("item {position} ").bytes().cycle().take(len).collect()
}

fn put(key: &str, value: &str) -> Write {
    Write::Put { table: Table::Cursors, key: key.to_owned().into(), value: value.to_owned().into() }
}

fn positions(recovered: &Recovered) -> Vec<u64> {
    recovered.records.iter().map(|(position, _)| *position).collect()
}

/// The names of the segment files, oldest first.
fn segments(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("log-"))
        .collect();
    names.sort();
    names
}

/// Bytes of all segments.
fn stored(directory: &Path) -> u64 {
    segments(directory).iter().map(|name| std::fs::metadata(directory.join(name)).unwrap().len()).sum()
}
