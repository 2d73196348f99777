//! Reading a segment: which records are in it, and where it ends.

use bytes::Bytes;

use super::{
    error::OpenError,
    segment::{HEADER_LEN, Header, Key, RECORD_HEADER_LEN, RecordHeader},
};

/// Where an item lies in its segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: u64,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What one segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// The items, by position.
    pub(super) entries: Vec<Entry>,
    /// Their records, by position; slices of the segment.
    pub(super) records: Vec<(u64, Bytes)>,
    /// The first byte behind the last record that counts.
    pub(super) end: u64,
    /// The highest position up to the end of this segment.
    pub(super) last: u64,
}

/// Reads a segment whose end its successor states: every record up to there must be whole.
pub(super) fn sealed(file: &str, header: &Header, bytes: &Bytes, end: u64) -> Result<Scan, OpenError> {
    let mut scan = Walk::new(header, bytes);
    while scan.at < end {
        if !scan.step(file)? {
            return Err(corrupt(file, scan.at, "a record does not match its checksum"));
        }
    }
    if scan.at != end {
        return Err(corrupt(file, end, "the segment does not end between two records"));
    }
    Ok(scan.found)
}

/// Reads the segment that was being written when the store was last open. It ends behind its last whole batch: what follows was never acknowledged.
/// Damage before that point is told from a torn end by looking on: a later batch was begun only after all before it was durable.
pub(super) fn active(file: &str, header: &Header, bytes: &Bytes) -> Result<Scan, OpenError> {
    let mut scan = Walk::new(header, bytes);
    while scan.step(file)? {}
    if let Some(start) = scan.later_batch() {
        let what = "a record does not match its checksum, though a later batch is there";
        return Err(corrupt(file, start, what));
    }
    Ok(scan.cut_to_whole_batches())
}

fn corrupt(file: &str, offset: u64, what: &'static str) -> OpenError {
    OpenError::Corrupt { file: file.to_owned(), offset, what }
}

struct Walk<'a> {
    key: Key,
    bytes: &'a Bytes,
    /// Where the next record would begin.
    at: u64,
    found: Scan,
    /// How many of the records found, and which length and position, belong to whole batches.
    whole: (usize, u64, u64),
}

impl<'a> Walk<'a> {
    fn new(header: &Header, bytes: &'a Bytes) -> Self {
        let before = header.first.saturating_sub(1);
        Self {
            key: header.key(),
            bytes,
            at: HEADER_LEN,
            found: Scan { entries: Vec::new(), records: Vec::new(), end: HEADER_LEN, last: before },
            whole: (0, HEADER_LEN, before),
        }
    }

    /// Takes the next record; false if there is no whole one.
    fn step(&mut self, file: &str) -> Result<bool, OpenError> {
        let Some((header, body)) = self.record() else {
            return Ok(false);
        };
        if header.position <= self.found.last {
            return Err(corrupt(file, self.at, "positions do not ascend"));
        }
        let item = body + header.record_len as usize;
        self.found.entries.push(Entry { position: header.position, start: item, end: item + header.item_len as usize });
        self.found.records.push((header.position, self.bytes.slice(body..item)));
        self.found.last = header.position;
        self.at += header.stored_len();
        self.found.end = self.at;
        if header.last_of_batch {
            self.whole = (self.found.entries.len(), self.at, header.position);
        }
        Ok(true)
    }

    /// The record at the current place and the offset of its body, if it is whole.
    fn record(&self) -> Option<(RecordHeader, usize)> {
        let start = usize::try_from(self.at).ok()?;
        let header = RecordHeader::decode(&self.key, self.bytes.get(start..)?)?;
        let body = start + RECORD_HEADER_LEN as usize;
        let len = usize::try_from(header.body_len()).ok()?;
        // The padding counts as part of the record: an end inside it is an end inside the record.
        let padded = usize::try_from(header.stored_len()).ok()?;
        self.bytes.get(start..start.checked_add(padded)?)?;
        let covered = self.bytes.get(body..body.checked_add(len)?)?;
        header.covers(&self.key, covered).then_some((header, body))
    }

    /// The place of the first damage, if a record of a batch that was begun later lies behind it.
    fn later_batch(&self) -> Option<u64> {
        let from = usize::try_from(self.at).ok()?.checked_add(16)?;
        let behind = self.bytes.get(from..)?;
        (0..behind.len())
            .step_by(16)
            .filter_map(|at| RecordHeader::decode(&self.key, &behind[at..]))
            .any(|header| header.batch_start > self.at)
            .then_some(self.at)
    }

    fn cut_to_whole_batches(self) -> Scan {
        let (count, end, last) = self.whole;
        let mut found = self.found;
        found.entries.truncate(count);
        found.records.truncate(count);
        Scan { end, last, ..found }
    }
}
