//! The unsynced writes of one file: in memory for reading, in a side file for the time after a crash.
//!
//! A side file is a sequence of (kind u8, offset or new length u64, count u64, bytes), little-endian. Its last entry may be cut short, if the process died while
//! writing it; what is there of it is an unsynced write like any other.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use relay::store::disk::File;

use super::{Random, Restart};

const SECTOR: u64 = 512;
const ENTRY_HEADER: usize = 17;
const KIND_WRITE: u8 = 1;
const KIND_SET_LEN: u8 = 2;

/// One change that was not synced.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

/// A file as the process sees it: durable bytes with unsynced changes over them.
#[derive(Debug)]
pub(super) struct Overlay {
    durable: Box<dyn File>,
    changes: Vec<Change>,
    len: u64,
    side: fs::File,
}

/// Where the side file of a file is.
pub(super) fn side_path(side: &Path, name: &str) -> PathBuf {
    side.join(format!("{name}.writes"))
}

impl Overlay {
    pub(super) fn open(durable: Box<dyn File>, side: &Path) -> io::Result<Self> {
        let len = durable.len()?;
        let side = OpenOptions::new().append(true).create(true).open(side)?;
        Ok(Self { durable, changes: Vec::new(), len, side })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn durable(&self) -> &dyn File {
        &*self.durable
    }

    pub(super) fn is_synced(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.saturating_add(buffer.len() as u64) > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let there = self.durable.len()?.saturating_sub(offset).min(buffer.len() as u64) as usize;
        self.durable.read_at(offset, &mut buffer[..there])?;
        buffer[there..].fill(0);
        for change in &self.changes {
            change.show(offset, buffer);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.len = self.len.max(offset + bytes.len() as u64);
        self.add(Change::Write { offset, bytes: bytes.to_vec() })
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.len = len;
        self.add(Change::SetLen(len))
    }

    fn add(&mut self, change: Change) -> io::Result<()> {
        self.side.write_all(&change.encode())?;
        self.changes.push(change);
        Ok(())
    }

    /// Makes the changes durable. If the process is killed on the way the side file is still whole, so any part of them may survive: like a real sync.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for change in &self.changes {
            change.apply(&*self.durable)?;
        }
        self.side.set_len(0)?;
        self.changes.clear();
        Ok(())
    }
}

impl Change {
    fn apply(&self, file: &dyn File) -> io::Result<()> {
        match self {
            Self::Write { offset, bytes } => file.write_at(*offset, bytes),
            Self::SetLen(len) => file.set_len(*len),
        }
    }

    /// Changes what `buffer`, read from `start`, shows.
    fn show(&self, start: u64, buffer: &mut [u8]) {
        let end = start + buffer.len() as u64;
        match self {
            Self::Write { offset, bytes } => {
                let from = start.max(*offset);
                let to = end.min(offset + bytes.len() as u64);
                if from < to {
                    let part = &bytes[(from - offset) as usize..(to - offset) as usize];
                    buffer[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
                }
            }
            Self::SetLen(len) => {
                let kept = len.saturating_sub(start).min(buffer.len() as u64) as usize;
                buffer[kept..].fill(0);
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let (kind, number, bytes) = match self {
            Self::Write { offset, bytes } => (KIND_WRITE, *offset, &bytes[..]),
            Self::SetLen(len) => (KIND_SET_LEN, *len, &[][..]),
        };
        let mut entry = vec![kind];
        entry.extend(number.to_le_bytes());
        entry.extend((bytes.len() as u64).to_le_bytes());
        entry.extend(bytes);
        entry
    }

    /// The changes in a side file, the last one as far as it goes.
    fn decode_all(mut rest: &[u8]) -> Vec<Self> {
        let mut changes = Vec::new();
        while let Some((header, behind)) = rest.split_at_checked(ENTRY_HEADER) {
            let number = u64_at(header, 1);
            let count = usize::try_from(u64_at(header, 9)).unwrap_or(usize::MAX).min(behind.len());
            changes.push(match header[0] {
                KIND_SET_LEN => Self::SetLen(number),
                _ => Self::Write { offset: number, bytes: behind[..count].to_vec() },
            });
            rest = &behind[count..];
        }
        changes
    }

    /// What a torn write leaves: as many bytes as given, from its start. A change of length is one byte of work.
    fn first(&self, count: u64) -> Option<Self> {
        match self {
            Self::Write { offset, bytes } => {
                let kept = bytes.len().min(usize::try_from(count).unwrap_or(usize::MAX));
                Some(Self::Write { offset: *offset, bytes: bytes[..kept].to_vec() })
            }
            Self::SetLen(len) => (count > 0).then_some(Self::SetLen(*len)),
        }
    }

    fn work(&self) -> u64 {
        match self {
            Self::Write { bytes, .. } => bytes.len() as u64,
            Self::SetLen(_) => 1,
        }
    }

    /// The sectors of a write, as the disk may take them one by one.
    fn sectors(self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else {
            return vec![self];
        };
        let mut sectors = Vec::new();
        let mut at = offset;
        let end = offset + bytes.len() as u64;
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            let part = &bytes[(at - offset) as usize..(next - offset) as usize];
            sectors.push(Self::Write { offset: at, bytes: part.to_vec() });
            at = next;
        }
        sectors
    }
}

/// After a crash: applies to a file what survives of its unsynced changes, and removes its side file.
pub(super) fn restart(file: &dyn File, name: &str, side: &Path, restart: Restart) -> io::Result<()> {
    let changes = Change::decode_all(&fs::read(side)?);
    let kept = match restart {
        Restart::Discard => Vec::new(),
        Restart::TornPrefix { seed } => prefix(&changes, &mut Random::of(seed, name)),
        Restart::Sectors { seed } => {
            let mut random = Random::of(seed, name);
            changes.into_iter().flat_map(Change::sectors).filter(|_| random.one_in(2)).collect()
        }
    };
    for change in kept {
        change.apply(file)?;
    }
    fs::remove_file(side)
}

fn prefix(changes: &[Change], random: &mut Random) -> Vec<Change> {
    let total: u64 = changes.iter().map(Change::work).sum();
    let mut left = random.below(total + 1);
    let mut kept = Vec::new();
    for change in changes {
        kept.extend(change.first(left));
        left = left.saturating_sub(change.work());
        if left == 0 {
            break;
        }
    }
    kept
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
