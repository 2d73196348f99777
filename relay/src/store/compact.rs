//! Taking back the room of evicted items: what is left of some sealed segments is written as one, which takes the place of the last of them.
//!
//! The new file is whole and durable under a name of its own before it gets the segment's, so a crash leaves the old segments or the new one, and both
//! are right. It says itself where it ends; its successor, which was written before, goes on saying where the old one did. It names the
//! predecessor of the first as its own, so those between are no part of the log any more: they are removed once its name is durable. What is mapped of
//! the old files stays as it is for whoever has a slice of it.

use std::{io, ops::Range};

use bytes::Bytes;

use super::{
    disk::Disk,
    index::{Held, Index, View},
    log::{Active, Item, Log},
    scan::Entry,
    segment::{self, HEADER_LEN, Header, Key, RECORD_HEADER_LEN, RecordHeader},
};

/// The file that is being written; no segment's name. One that is found when the log is opened is what a crash left.
pub(super) const NAME: &str = "log-compact.tmp";

impl Log {
    /// Writes one run of segments anew, if there is one for which that is worth a copy: so many bytes are free then. A failure (a full disk) loses nothing,
    /// and waits for the next eviction.
    pub(super) fn compact(&mut self) -> Option<u64> {
        while self.may_compact {
            let run = self.reader.shared().sparse(self.segment_bytes);
            match run.map(|run| self.compact_run(run)) {
                Some(Ok(freed)) => return Some(freed),
                // Damage is not copied: it is found as such where it is, before it goes out.
                Some(Err(Failure::Damaged(sequence))) => self.reader.exclusive().leave(sequence),
                Some(Err(Failure::Disk(error))) => {
                    tracing::warn!(%error, "cannot take back the room of items in the log that others have replaced");
                    self.may_compact = false;
                }
                None => self.may_compact = false,
            }
        }
        None
    }

    fn compact_run(&self, run: Range<usize>) -> Result<u64, Failure> {
        let found = Run::of(&self.reader.shared(), run.clone());
        let before = found.len();
        let (view, after) = found.check()?.write(&*self.disk, self.salt)?;
        let replaced = self.reader.exclusive().replace(run, view);
        // The name is the new file's; a predecessor goes only when that is so after a crash too. Those left are removed when the log is next opened.
        self.disk.sync_dir()?;
        replaced.into_iter().for_each(|sequence| self.remove(sequence));
        Ok(before.saturating_sub(after))
    }
}

/// Why a run stays as it is.
enum Failure {
    /// A segment in it is not as it was written.
    Damaged(u64),
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Segments that follow each other, oldest first.
struct Run {
    segments: Vec<Segment>,
    /// No position is higher.
    last: u64,
}

/// A segment, and what it still serves.
struct Segment {
    sequence: u64,
    key: Key,
    file: Bytes,
    entries: Vec<Entry>,
}

/// What is written anew, and is as it was written.
struct Kept {
    /// Of the new segment, but for its length and salt.
    header: Header,
    last: u64,
    items: Vec<Served>,
}

/// An item that goes along.
struct Served {
    entry: Entry,
    record: Bytes,
    item: Bytes,
}

impl Run {
    fn of(index: &Index, run: Range<usize>) -> Self {
        let views = index.views(run);
        let segments = views.iter().filter_map(|view| Segment::of(view, index.trimmed())).collect();
        Self { segments, last: views.last().map_or(0, |view| view.last) }
    }

    /// Bytes of its files.
    fn len(&self) -> u64 {
        self.segments.iter().map(|segment| segment.file.len() as u64).sum()
    }

    fn check(&self) -> Result<Kept, Failure> {
        let (Some(first), Some(last)) = (self.segments.first(), self.segments.last()) else {
            return Err(Failure::Disk(io::ErrorKind::NotFound.into()));
        };
        let damaged = |segment: &Segment| Failure::Damaged(segment.sequence);
        let header = Header::decode(&segment::name(first.sequence), &first.file).ok().flatten();
        let header = Header { sequence: last.sequence, ..header.ok_or_else(|| damaged(first))? };
        let mut items = Vec::new();
        for segment in &self.segments {
            for entry in &segment.entries {
                items.push(segment.served(entry).ok_or_else(|| damaged(segment))?);
            }
        }
        Ok(Kept { header, last: self.last, items })
    }
}

impl Segment {
    /// `None` for one that is in memory, which no run has.
    fn of(view: &View, trimmed: u64) -> Option<Self> {
        let Held::Mapped(file) = &view.held else { return None };
        let entries = view.entries.iter().filter(|entry| entry.position >= trimmed).copied().collect();
        Some(Self { sequence: view.sequence, key: view.key, file: file.clone(), entries })
    }

    /// `None` if it is not what was written.
    fn served(&self, entry: &Entry) -> Option<Served> {
        let start = entry.start.checked_sub(entry.record_len as usize)?;
        let header = start.checked_sub(RECORD_HEADER_LEN as usize)?;
        let header = RecordHeader::decode(&self.key, self.file.get(header..)?)?;
        let (record, item) = (self.file.slice(start..entry.start), self.file.slice(entry.start..entry.end));
        let is_intact = self.key.sum(&record) == header.record_sum && self.key.sum(&item) == header.item_sum;
        (is_intact && header.position == entry.position).then(|| Served { entry: *entry, record, item })
    }
}

impl Kept {
    /// Writes it as one segment; how that is served, and its bytes. Before an error nothing has another name.
    fn write(self, disk: &dyn Disk, salt: u128) -> io::Result<(View, u64)> {
        let len = HEADER_LEN + self.items.iter().map(|served| served.entry.stored_len()).sum::<u64>();
        let compact_units = Header::units(len).ok_or(io::ErrorKind::FileTooLarge)?;
        let header = Header { salt, compact_units, ..self.header };
        let written = self.write_file(disk, header);
        if written.is_err() {
            // Else it takes room until the next time.
            drop(disk.remove(NAME));
        }
        let (entries, held) = written?;
        Ok((View::new(header.sequence, header.key(), self.last, entries, Held::Mapped(held)), len))
    }

    fn write_file(&self, disk: &dyn Disk, header: Header) -> io::Result<(Vec<Entry>, Bytes)> {
        let segment = Active::begin(disk.open(NAME)?, header)?;
        let entries = segment.write(&self.items.iter().map(Served::item).collect::<Vec<_>>())?;
        let held = segment.map()?;
        disk.rename(NAME, &segment::name(header.sequence))?;
        Ok((entries.into_iter().map(|(entry, _)| entry).collect(), held))
    }
}

impl Served {
    fn item(&self) -> Item<'_> {
        let item_len = (self.entry.end - self.entry.start) as u32;
        Item {
            position: self.entry.position,
            record: (&self.record, self.entry.record_len),
            item: (&self.item, item_len),
        }
    }
}
