//! Reading a segment: which records are in it, and where it ends.

use bytes::Bytes;
use node::store::Lost;

use super::{
    error::OpenError,
    segment::{HEADER_LEN, Header, Key, RECORD_HEADER_LEN, RecordHeader, Sum, stored_len},
};

/// Where an item lies in its segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: u64,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Bytes of the record in front of it.
    pub(super) record_len: u32,
    pub(super) sum: Sum,
    /// It was found that the bytes are not what was written.
    pub(super) damaged: bool,
}

impl Entry {
    /// Of an item that begins at this byte of the file.
    pub(super) fn new(header: &RecordHeader, start: usize) -> Self {
        let RecordHeader { position, record_len, item_len, item_sum, .. } = *header;
        Self { position, start, end: start + item_len as usize, record_len, sum: item_sum, damaged: false }
    }

    /// Bytes that it takes in the file, with its record and header.
    pub(super) fn stored_len(&self) -> u64 {
        stored_len(u64::from(self.record_len) + (self.end - self.start) as u64)
    }
}

/// What one segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// The items, by position.
    pub(super) entries: Vec<Entry>,
    /// Their records, by position; slices of the segment.
    pub(super) records: Vec<(u64, Bytes)>,
    /// What is damaged, by position, and where in the file.
    pub(super) lost: Vec<(u64, Lost)>,
    /// The first byte behind the last record that counts.
    pub(super) end: u64,
    /// The highest position up to the end of this segment.
    pub(super) last: u64,
}

/// Reads a segment whose end, in bytes and positions, its successor states: what is not whole up to there is damaged.
pub(super) fn sealed(file: &str, header: &Header, bytes: &Bytes, end: u64, last: u64) -> Result<Scan, OpenError> {
    let mut scan = Walk::new(file, header, bytes);
    while scan.at < end {
        if !scan.step()? {
            scan.skip(end, last);
        }
    }
    if scan.at != end {
        return Err(corrupt(file, end, "the segment does not end between two records"));
    }
    Ok(scan.scan)
}

/// Reads the segment that was being written when the store was last open. It ends behind its last whole batch: what follows was never acknowledged.
/// Damage before that point is told from a torn end by looking on, as a later batch was begun only after all before it was durable; and by the tables,
/// which know of nothing that was not: items up to `head` were.
pub(super) fn active(file: &str, header: &Header, bytes: &Bytes, head: u64) -> Result<Scan, OpenError> {
    let mut scan = Walk::new(file, header, bytes);
    loop {
        while scan.step()? {}
        if !scan.is_before_what_was_durable(head) {
            return Ok(scan.cut_to_whole_batches());
        }
        scan.skip(bytes.len() as u64, head);
    }
}

fn corrupt(file: &str, offset: u64, what: &'static str) -> OpenError {
    OpenError::Corrupt { file: file.to_owned(), offset, what }
}

/// How much of what was found belongs to whole batches.
#[derive(Clone, Copy)]
struct Whole {
    entries: usize,
    lost: usize,
    end: u64,
    last: u64,
}

struct Walk<'a> {
    file: &'a str,
    key: Key,
    bytes: &'a Bytes,
    /// Where the next record would begin.
    at: u64,
    scan: Scan,
    whole: Whole,
}

impl<'a> Walk<'a> {
    fn new(file: &'a str, header: &Header, bytes: &'a Bytes) -> Self {
        let last = header.first.saturating_sub(1);
        Self {
            file,
            key: header.key(),
            bytes,
            at: HEADER_LEN,
            scan: Scan { entries: Vec::new(), records: Vec::new(), lost: Vec::new(), end: HEADER_LEN, last },
            whole: Whole { entries: 0, lost: 0, end: HEADER_LEN, last },
        }
    }

    /// Takes the next record; false if there is no whole one.
    fn step(&mut self) -> Result<bool, OpenError> {
        let Some(header) = self.header_at(self.at) else {
            return Ok(false);
        };
        let Some((record, item)) = self.body(&header).filter(|(record, item)| {
            self.key.sum(record) == header.record_sum && self.key.sum(&self.bytes[item.clone()]) == header.item_sum
        }) else {
            return Ok(false);
        };
        if header.position <= self.scan.last {
            return Err(corrupt(self.file, self.at, "positions do not ascend"));
        }
        self.scan.entries.push(Entry::new(&header, item.start));
        self.scan.records.push((header.position, record));
        self.pass(&header);
        Ok(true)
    }

    /// The header of a record, if one of this segment stands there.
    fn header_at(&self, at: u64) -> Option<RecordHeader> {
        RecordHeader::decode(&self.key, self.bytes.get(usize::try_from(at).ok()?..)?)
    }

    /// The record at the current place and where its item stands, if the file is long enough. The padding counts as part of the record: an end
    /// inside it is an end inside the record.
    fn body(&self, header: &RecordHeader) -> Option<(Bytes, std::ops::Range<usize>)> {
        let end = usize::try_from(self.at.checked_add(header.stored_len())?).ok()?;
        if end > self.bytes.len() {
            return None;
        }
        let record = usize::try_from(self.at + RECORD_HEADER_LEN).ok()?;
        let item = record + header.record_len as usize;
        Some((self.bytes.slice(record..item), item..item + header.item_len as usize))
    }

    /// Goes on behind a record.
    fn pass(&mut self, header: &RecordHeader) {
        self.at += header.stored_len();
        (self.scan.end, self.scan.last) = (self.at, header.position);
        if header.last_of_batch {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        let (entries, lost) = (self.scan.entries.len(), self.scan.lost.len());
        self.whole = Whole { entries, lost, end: self.at, last: self.scan.last };
    }

    /// Goes on behind what is damaged at the current place: one item, if its header is whole; else everything up to the next record, or up to the
    /// segment's end, `end`, before which no position is higher than `last`.
    fn skip(&mut self, end: u64, last: u64) {
        let start = self.at;
        if let Some(header) = self.header_at(start).filter(|header| header.position > self.scan.last)
            && let Some((record, _)) = self.body(&header).filter(|_| start + header.stored_len() <= end)
        {
            let record = Some(record).filter(|record| self.key.sum(record) == header.record_sum);
            self.scan.lost.push((start, Lost { position: header.position, record }));
            return self.pass(&header);
        }
        let next = (start + 16..end).step_by(16).find_map(|at| {
            // Not a copy that somebody has sent as an item: that is of an earlier record.
            let is_here = |header: &RecordHeader| header.position > self.scan.last && header.batch_start <= at;
            self.header_at(at).filter(is_here).map(|header| (at, header))
        });
        let (at, last) = next.as_ref().map_or((end, last), |(at, header)| (*at, header.position - 1));
        self.at = at;
        self.scan.end = at;
        if last > self.scan.last {
            self.scan.lost.push((start, Lost { position: last, record: None }));
            self.scan.last = last;
        }
        if next.is_none_or(|(at, header)| header.batch_start == at) {
            self.end_batch();
        }
    }

    /// Whether what stands at the current place, which is not whole, was durable once.
    fn is_before_what_was_durable(&self, head: u64) -> bool {
        let behind = (self.at + 16..self.bytes.len() as u64).step_by(16);
        let is_cut = self.header_at(self.at).is_some_and(|header| self.body(&header).is_none());
        let is_known = self.scan.last < head && self.at + RECORD_HEADER_LEN <= self.bytes.len() as u64 && !is_cut;
        is_known || behind.filter_map(|at| self.header_at(at)).any(|header| header.batch_start > self.at)
    }

    fn cut_to_whole_batches(self) -> Scan {
        let Whole { entries, lost, end, last } = self.whole;
        let mut scan = self.scan;
        scan.entries.truncate(entries);
        scan.records.truncate(entries);
        scan.lost.truncate(lost);
        Scan { end, last, ..scan }
    }
}
