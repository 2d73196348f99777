//! What the log holds when it is opened: which segments count, how far, and what is left over.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use node::store::Lost;

use super::{
    compact,
    disk::Disk,
    error::{OpenError, tell_damaged},
    index::{Held, View},
    scan::{self, Scan},
    segment::{self, HEADER_LEN, Header, Link},
    tables::Known,
};

/// What stands in the log and is not trimmed.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// (position, record) of whole items, ascending.
    pub(super) records: Vec<(u64, Bytes)>,
    /// What is damaged, ascending.
    pub(super) lost: Vec<Lost>,
}

/// The log as it was found.
pub(super) struct Found {
    /// Oldest first.
    pub(super) views: Vec<View>,
    pub(super) records: Records,
    /// The newest segment and how much of it counts.
    pub(super) previous: Link,
    /// The highest position ever seen in the log.
    pub(super) last: u64,
    /// Higher than every sequence number in use.
    pub(super) next_sequence: u64,
}

/// A segment file with a whole header.
struct Segment {
    name: String,
    header: Header,
    bytes: Bytes,
}

/// Reads the log and removes the files that are no part of it: segments whose creation was never finished or that their successor passes over, and segments
/// that hold only positions below `trimmed`.
pub(super) fn read(disk: &Arc<dyn Disk>, known: &Known) -> Result<Found, OpenError> {
    let mut segments = load(disk)?;
    let next_sequence = segments.keys().next_back().map_or(1, |newest| newest + 1);
    let chain = chain(&mut segments, known.trimmed)?;
    for (sequence, _) in segments {
        let name = segment::name(sequence);
        tracing::info!(file = name, "removing a log segment that is not needed");
        disk.remove(&name).map_err(OpenError::io(&name))?;
    }
    let (records, previous) = (Records::default(), Link::default());
    let mut found = Found { views: Vec::new(), records, previous, last: 0, next_sequence };
    for (segment, len) in chain {
        found.add(segment, len, known)?;
    }
    Ok(found)
}

/// All segment files, mapped. A file that was to take a segment's place is removed.
///
/// One that ends within its header never had a record (the header is durable before the first) and is left for removal.
fn load(disk: &Arc<dyn Disk>) -> Result<BTreeMap<u64, Option<Segment>>, OpenError> {
    let mut segments = BTreeMap::new();
    for name in disk.list().map_err(OpenError::io("directory"))? {
        if name == compact::NAME {
            disk.remove(&name).map_err(OpenError::io(&name))?;
            continue;
        }
        let Some(sequence) = segment::sequence_of(&name) else {
            continue;
        };
        let file = disk.open(&name).map_err(OpenError::io(&name))?;
        let bytes = file.map().map_err(OpenError::io(&name))?;
        let header = Header::decode(&name, &bytes)?.filter(|header| header.sequence == sequence);
        let segment = match header {
            Some(header) => Some(Segment { name, header, bytes }),
            None if bytes.len() as u64 <= HEADER_LEN => None,
            None => {
                return Err(OpenError::Corrupt {
                    file: name,
                    offset: 0,
                    what: "the segment's header does not match its checksum",
                });
            }
        };
        segments.insert(sequence, segment);
    }
    Ok(segments)
}

/// How a segment ends, as its successor says.
#[derive(Clone, Copy)]
struct End {
    len: u64,
    /// No position in it is higher.
    last: u64,
}

/// Takes the segments that count out of `segments`, oldest first, with how the successor says that they end (nothing for the newest).
fn chain(
    segments: &mut BTreeMap<u64, Option<Segment>>,
    trimmed: u64,
) -> Result<Vec<(Segment, Option<End>)>, OpenError> {
    let newest = segments.iter().rev().find_map(|(sequence, segment)| segment.is_some().then_some(*sequence));
    let mut chain = Vec::new();
    let mut next = newest.map(|sequence| (sequence, None));
    while let Some((sequence, end)) = next {
        let Some(segment) = segments.remove(&sequence).flatten() else {
            return Err(OpenError::Missing { file: segment::name(sequence) });
        };
        let Header { previous, first, .. } = segment.header;
        // Everything before is below `first`, so it may be gone if that is trimmed.
        let needed = previous.sequence != 0 && first > trimmed;
        let before = End { len: previous.len, last: first.saturating_sub(1) };
        next = needed.then_some((previous.sequence, Some(before)));
        if needed && previous.sequence >= sequence {
            return Err(damaged(&segment, 32, "the segment names no earlier one as its predecessor"));
        }
        chain.push((segment, end));
    }
    chain.reverse();
    Ok(chain)
}

impl Found {
    fn add(&mut self, segment: Segment, end: Option<End>, known: &Known) -> Result<(), OpenError> {
        if !self.views.is_empty() && segment.header.first != self.last.saturating_add(1) {
            return Err(damaged(&segment, 24, "the segment does not continue the one before it"));
        }
        let scan = segment.scan(end, known)?;
        self.previous = Link { sequence: segment.header.sequence, len: scan.end };
        self.last = scan.last;
        self.records.records.extend(scan.records.into_iter().filter(|(position, _)| *position >= known.trimmed));
        let has_lost = !scan.lost.is_empty();
        for (offset, lost) in scan.lost.into_iter().filter(|(_, lost)| lost.position >= known.trimmed) {
            tell_damaged(&segment.name, offset, lost.position);
            self.records.lost.push(lost);
        }
        let (header, held) = (segment.header, Held::Mapped(segment.bytes));
        let mut view = View::new(header.sequence, header.key(), scan.last, scan.entries, held);
        view.has_lost = has_lost;
        self.views.push(view);
        Ok(())
    }
}

impl Segment {
    fn scan(&self, end: Option<End>, known: &Known) -> Result<Scan, OpenError> {
        let present = self.bytes.len() as u64;
        match (end, self.header.compact_len()) {
            (_, Some(len)) if len > present => Err(damaged(self, present, "the segment ends before its header says")),
            (Some(End { last, .. }), Some(len)) => {
                let scan = scan::sealed(&self.name, &self.header, &self.bytes, len, last)?;
                // Its last items may be left out.
                Ok(Scan { last, ..scan })
            }
            (Some(end), None) if end.len > present => {
                Err(damaged(self, present, "the segment ends before its successor says"))
            }
            (Some(End { len, last }), None) => scan::sealed(&self.name, &self.header, &self.bytes, len, last),
            (None, _) => {
                // Where everything was trimmed, the tables may know of items in segments that are gone.
                let head = if known.head >= known.trimmed { known.head } else { 0 };
                let scan = scan::active(&self.name, &self.header, &self.bytes, head)?;
                if scan.end < present {
                    let bytes = present - scan.end;
                    tracing::warn!(file = self.name, bytes, "cut an unfinished batch off the log");
                }
                Ok(scan)
            }
        }
    }
}

fn damaged(segment: &Segment, offset: u64, what: &'static str) -> OpenError {
    OpenError::Corrupt { file: segment.name.clone(), offset, what }
}
