//! The log: appending batches to the active segment, sealing it, giving it up after an error, and trimming.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::{
    disk::{Disk, File},
    error::OpenError,
    index::Reader,
    recover::{self, Records},
    scan::Entry,
    segment::{self, HEADER_LEN, Header, Key, Link, RECORD_HEADER_LEN, RecordHeader},
    tables::Known,
};

/// Bytes gathered before they are handed to the file. Larger items go to the file from where they are.
const GATHER_BYTES: usize = 256 * 1024;

/// An item to append. Both lengths were checked to fit the format.
pub(super) struct Item<'a> {
    pub(super) position: u64,
    pub(super) record: (&'a Bytes, u32),
    pub(super) item: (&'a Bytes, u32),
}

/// A batch that is durable and that readers do not see yet.
#[must_use]
pub(super) struct Staged {
    sequence: u64,
    key: Key,
    added: Vec<(Entry, Bytes)>,
    last: u64,
}

/// The segments on disk. One writer.
pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) reader: Reader,
    pub(super) segment_bytes: u64,
    pub(super) salt: u128,
    /// The segment that takes the next batch; begun with the first batch that needs it.
    active: Option<Active>,
    /// What the next segment's header says of the one before it.
    previous: Link,
    next_sequence: u64,
    /// The highest position published.
    last: u64,
    /// Whether items were evicted since no segment was found to be worth compacting.
    pub(super) may_compact: bool,
    /// A segment that was given up before it held anything; it goes when a successor stands that passes over it.
    passed_over: Vec<u64>,
}

/// The segment being written.
pub(super) struct Active {
    file: Box<dyn File>,
    header: Header,
    key: Key,
    /// Its durable length.
    len: u64,
}

impl Log {
    /// Reads the log. `salt` is new for each call. Also returns what stands in it and is not trimmed.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
        salt: u128,
        known: &Known,
    ) -> Result<(Self, Records), OpenError> {
        let found = recover::read(&disk, known)?;
        let log = Self {
            disk,
            reader: Reader::default(),
            segment_bytes,
            salt,
            active: None,
            previous: found.previous,
            next_sequence: found.next_sequence,
            last: found.last,
            may_compact: false,
            passed_over: Vec::new(),
        };
        let mut index = log.reader.exclusive();
        for view in found.views {
            index.push(view);
        }
        drop(index);
        Ok((log, found.records))
    }

    pub(super) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The highest position published or found.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// For a log whose records were all trimmed: positions go on where the tables say that they ended.
    pub(super) fn continue_after(&mut self, position: u64) {
        self.last = self.last.max(position);
    }

    /// Makes a batch durable. After an error the segment that it was going to is not written any more: its successor will say that it ends before the
    /// batch, so a part of it that did reach the disk is not found again. Until a successor stands, a restart may find the batch, whole.
    pub(super) fn append(&mut self, batch: &[Item<'_>]) -> io::Result<Staged> {
        let len = batch.iter().map(|item| segment::stored_len(item.body_len())).sum();
        let mut active = self.segment_for(len)?;
        match active.write(batch) {
            Ok(added) => {
                active.len += len;
                let staged = Staged {
                    sequence: active.header.sequence,
                    key: active.key,
                    added,
                    last: batch.last().map_or(self.last, |item| item.position),
                };
                self.active = Some(active);
                Ok(staged)
            }
            Err(error) => {
                self.give_up(active);
                Err(error)
            }
        }
    }

    /// Shows a batch to readers.
    pub(super) fn publish(&mut self, staged: Staged) {
        self.last = staged.last;
        self.reader.exclusive().publish(staged.sequence, staged.key, staged.added);
    }

    /// Hides positions below and removes the segments that hold nothing else. A file that cannot be removed is removed when the store is next opened.
    pub(super) fn trim(&mut self, below: u64) {
        let open = self.active.as_ref().map(|active| active.header.sequence);
        let gone = self.reader.exclusive().trim(below, open);
        for sequence in gone {
            self.remove(sequence);
        }
    }

    /// Serves these items no more, wherever they stand. [`Log::compact`] takes back their room.
    pub(super) fn evict(&mut self, positions: Vec<u64>) {
        self.reader.exclusive().evict(positions);
        self.may_compact = true;
    }

    pub(super) fn remove(&self, sequence: u64) {
        let name = segment::name(sequence);
        if let Err(error) = self.disk.remove(&name) {
            tracing::warn!(file = name, %error, "cannot remove a log segment that is not needed");
        }
    }

    /// The active segment if `len` more bytes fit into it, else a new one. A batch larger than a segment gets one of its own.
    fn segment_for(&mut self, len: u64) -> io::Result<Active> {
        match self.active.take() {
            Some(active) if active.is_empty() || active.len.saturating_add(len) <= self.segment_bytes => Ok(active),
            Some(full) => {
                self.seal(full);
                self.begin()
            }
            None => self.begin(),
        }
    }

    /// Creates the next segment. Its header and its name are durable before it takes a record, so a longer file without a whole header is damage.
    fn begin(&mut self) -> io::Result<Active> {
        let header = Header {
            sequence: self.next_sequence,
            first: self.last.saturating_add(1),
            previous: self.previous,
            salt: self.salt,
            compact_units: 0,
        };
        self.next_sequence += 1;
        let name = segment::name(header.sequence);
        let created = self.disk.open(&name).and_then(|file| {
            let active = Active::begin(file, header)?;
            active.file.sync_data()?;
            self.disk.sync_dir()?;
            Ok(active)
        });
        match created {
            Ok(active) => {
                for sequence in std::mem::take(&mut self.passed_over) {
                    self.remove(sequence);
                }
                Ok(active)
            }
            Err(error) => {
                self.remove(header.sequence);
                Err(error)
            }
        }
    }

    /// Ends a segment at its durable length and serves it from its file from now on.
    fn seal(&mut self, segment: Active) {
        let sequence = segment.header.sequence;
        self.previous = Link { sequence, len: segment.len };
        match segment.map() {
            Ok(mapped) => self.reader.exclusive().seal(sequence, mapped),
            Err(error) => {
                tracing::warn!(file = segment::name(sequence), %error, "a sealed log segment stays in memory");
            }
        }
    }

    /// Ends a segment that failed to take a batch. What was durable in it stays; nothing is written to it any more, since a sync that failed once may
    /// succeed the next time without having written anything.
    fn give_up(&mut self, segment: Active) {
        if segment.is_empty() {
            self.passed_over.push(segment.header.sequence);
            return;
        }
        // Not relied upon: it frees the space, and keeps a restart before the next success from finding the batch.
        if let Err(error) = segment.file.set_len(segment.len) {
            let file = segment::name(segment.header.sequence);
            tracing::warn!(file, %error, "cannot cut a refused batch off the log");
        }
        self.seal(segment);
    }
}

impl Active {
    /// Writes the header.
    pub(super) fn begin(file: Box<dyn File>, header: Header) -> io::Result<Self> {
        file.write_at(0, &header.encode())?;
        Ok(Self { file, key: header.key(), header, len: HEADER_LEN })
    }

    fn is_empty(&self) -> bool {
        self.len == HEADER_LEN
    }

    /// What stands in it; nothing is written to it any more.
    pub(super) fn map(&self) -> io::Result<Bytes> {
        self.file.map()
    }

    /// Writes and syncs a batch behind the durable length; returns where its items are.
    pub(super) fn write(&self, batch: &[Item<'_>]) -> io::Result<Vec<(Entry, Bytes)>> {
        let mut out = Gather { file: &*self.file, at: self.len, bytes: Vec::new() };
        let mut added = Vec::with_capacity(batch.len());
        for (place, item) in batch.iter().enumerate() {
            let last_of_batch = place + 1 == batch.len();
            let start = out.end() + RECORD_HEADER_LEN + item.record.0.len() as u64;
            let header = item.write(&self.key, self.len, last_of_batch, &mut out)?;
            let start = usize::try_from(start).map_err(|_| io::ErrorKind::FileTooLarge)?;
            added.push((Entry::new(&header, start), item.item.0.clone()));
        }
        out.flush()?;
        self.file.sync_data()?;
        Ok(added)
    }
}

impl Item<'_> {
    fn body_len(&self) -> u64 {
        u64::from(self.record.1) + u64::from(self.item.1)
    }

    fn write(
        &self,
        key: &Key,
        batch_start: u64,
        last_of_batch: bool,
        out: &mut Gather<'_>,
    ) -> io::Result<RecordHeader> {
        let (record, record_len) = self.record;
        let (item, item_len) = self.item;
        let header =
            RecordHeader::new(key, self.position, batch_start, last_of_batch, (record, record_len), (item, item_len));
        let padding = header.stored_len() - RECORD_HEADER_LEN - header.body_len();
        out.add(&header.encode(key))?;
        out.add(record)?;
        out.add(item)?;
        out.add(&[0; 16][..padding as usize])?;
        Ok(header)
    }
}

/// Few large writes instead of many small ones.
struct Gather<'a> {
    file: &'a dyn File,
    /// Where the gathered bytes go.
    at: u64,
    bytes: Vec<u8>,
}

impl Gather<'_> {
    /// Where the next byte goes.
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len() + bytes.len() > GATHER_BYTES {
            self.flush()?;
        }
        if bytes.len() <= GATHER_BYTES {
            self.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        self.file.write_at(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.file.write_at(self.at, &self.bytes)?;
            self.at += self.bytes.len() as u64;
            self.bytes.clear();
        }
        Ok(())
    }
}
