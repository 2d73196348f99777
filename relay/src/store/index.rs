//! Where the items are: what a [`Reader`] looks up.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{
    scan::Entry,
    segment::{self, HEADER_LEN, Key},
};

/// Reads items by position, from any thread. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    index: Arc<RwLock<Index>>,
}

impl Reader {
    /// The item at this position: nothing if there is none, or if it was trimmed, or if its commit has not returned yet. Never copies: the bytes are
    /// those that were appended, or a slice of a mapped segment. A page that is not in memory is read from the disk while the caller touches it.
    #[must_use]
    pub fn read(&self, position: u64) -> Option<Bytes> {
        self.shared().read(position)
    }

    /// Whether the item at this position still is what was appended: to be asked before its bytes go out under a digest that is made of
    /// them. What a mapped file does not show as it was written is named in the log, counts as not there from now on, and stays so. Reads the
    /// whole item; what is in memory is not read, nor is what is trimmed.
    #[must_use]
    pub fn is_intact(&self, position: u64) -> bool {
        let Some(held) = self.shared().held(position) else { return true };
        let is_intact = !held.entry.damaged && held.key.sum(&held.bytes) == held.entry.sum;
        if !is_intact && self.exclusive().give_up(position) {
            super::error::tell_damaged(&segment::name(held.sequence), held.entry.start as u64, position);
        }
        is_intact
    }

    /// Whether nothing has to be read from the disk for the item at this position.
    #[must_use]
    pub fn is_in_memory(&self, position: u64) -> bool {
        self.shared().held(position).is_none()
    }

    pub(super) fn shared(&self) -> RwLockReadGuard<'_, Index> {
        // Each change of the index leaves it whole, so a panic elsewhere under the lock spoils nothing.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn exclusive(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All segments of the log, oldest first.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Positions below are not served any more.
    trimmed: u64,
    views: Vec<View>,
}

/// One segment as readers see it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) sequence: u64,
    pub(super) key: Key,
    /// No position in this segment or before it is higher.
    pub(super) last: u64,
    pub(super) entries: Vec<Entry>,
    /// Bytes of the entries as they are stored.
    live: u64,
    /// It holds items that are lost: it stays as it is, so that they are found again when it is opened.
    pub(super) has_lost: bool,
    pub(super) held: Held,
}

/// Where the bytes of a segment are.
#[derive(Debug)]
pub(super) enum Held {
    /// The mapped file, of which entries are ranges.
    Mapped(Bytes),
    /// The items as they were appended, one for each entry.
    Memory(Vec<Bytes>),
}

impl Index {
    fn read(&self, position: u64) -> Option<Bytes> {
        if position < self.trimmed {
            return None;
        }
        let view = self.views.partition_point(|view| view.last < position);
        self.views.get(view)?.read(position)
    }

    /// An item that is served from a mapped file, or was.
    fn held(&self, position: u64) -> Option<HeldItem> {
        if position < self.trimmed {
            return None;
        }
        let view = self.views.get(self.views.partition_point(|view| view.last < position))?;
        let Held::Mapped(bytes) = &view.held else { return None };
        let entry = view.entries[view.find(position)?];
        Some(HeldItem { sequence: view.sequence, key: view.key, entry, bytes: bytes.slice(entry.start..entry.end) })
    }

    /// Serves this item no more; answers whether it did until now.
    pub(super) fn give_up(&mut self, position: u64) -> bool {
        let at = self.views.partition_point(|view| view.last < position);
        let Some(view) = self.views.get_mut(at) else { return false };
        view.find(position).is_some_and(|found| !std::mem::replace(&mut view.entries[found].damaged, true))
    }

    /// Adds a segment behind the others.
    pub(super) fn push(&mut self, view: View) {
        self.views.push(view);
    }

    /// Adds items to the segment being written, which is the last; begins it if these are its first.
    pub(super) fn publish(&mut self, sequence: u64, key: Key, added: Vec<(Entry, Bytes)>) {
        let Some(last) = added.last().map(|(entry, _)| entry.position) else {
            return;
        };
        let (new_entries, new_items): (Vec<_>, Vec<_>) = added.into_iter().unzip();
        if let Some(View { sequence: open, last: open_last, entries, live, held: Held::Memory(items), .. }) =
            self.views.last_mut()
            && *open == sequence
        {
            *live += new_entries.iter().map(Entry::stored_len).sum::<u64>();
            entries.extend(new_entries);
            items.extend(new_items);
            *open_last = last;
        } else {
            self.views.push(View::new(sequence, key, last, new_entries, Held::Memory(new_items)));
        }
    }

    /// From now on serves a segment from its mapped file; what was handed out before stays valid.
    pub(super) fn seal(&mut self, sequence: u64, mapped: Bytes) {
        if let Some(view) = self.views.iter_mut().find(|view| view.sequence == sequence) {
            view.held = Held::Mapped(mapped);
        }
    }

    /// Serves these items no more.
    pub(super) fn evict(&mut self, mut positions: Vec<u64>) {
        positions.sort_unstable();
        let mut rest = &positions[..];
        for view in &mut self.views {
            let here = rest.partition_point(|position| *position <= view.last);
            view.evict(&rest[..here]);
            rest = &rest[here..];
        }
    }

    /// Sealed segments that follow each other and are worth being written as one: of one of them, a part of [`GONE_SHARE`] is gone; each on either side of
    /// those between has no more items than they have together, by their bytes, and there is room for all in a segment. So what is copied is copied a number
    /// of times that grows with the logarithm of a segment's length, and files do not pile up that hold next to nothing.
    pub(super) fn sparse(&self, segment_bytes: u64) -> Option<Range<usize>> {
        // What follows says where a segment ends and which positions it has, so it stands before a segment is replaced; and a segment with an item
        // stays behind it, which says how far positions have come.
        let newest = self.views.last()?.last;
        let replaceable = &self.views[..self.views.partition_point(|view| view.last < newest)];
        let sparse = replaceable.iter().position(|view| view.is_sparse(self.trimmed))?;
        let (mut run, mut live) = (sparse..sparse + 1, replaceable[sparse].live_bytes(self.trimmed));
        let mut joins = |view: Option<&View>| {
            let more = view.filter(|view| view.is_whole()).map(|view| view.live_bytes(self.trimmed));
            let joined = more.filter(|more| *more <= live && more + live <= segment_bytes);
            live += joined.unwrap_or(0);
            joined.is_some()
        };
        loop {
            if joins(run.start.checked_sub(1).and_then(|before| replaceable.get(before))) {
                run.start -= 1;
            } else if joins(replaceable.get(run.end)) {
                run.end += 1;
            } else {
                return Some(run);
            }
        }
    }

    /// Leaves a segment as it is from now on.
    pub(super) fn leave(&mut self, sequence: u64) {
        self.views.iter_mut().filter(|view| view.sequence == sequence).for_each(|view| view.has_lost = true);
    }

    /// The views of a run of segments.
    pub(super) fn views(&self, run: Range<usize>) -> &[View] {
        &self.views[run]
    }

    /// Positions below are not served any more.
    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed
    }

    /// Serves what is left of a run from one segment, and says which others are not needed for it; what was handed out before stays valid. What was
    /// found damaged meanwhile stays so.
    pub(super) fn replace(&mut self, run: Range<usize>, mut by: View) -> Vec<u64> {
        let damaged = self.views[run.clone()].iter().flat_map(|view| &view.entries).filter(|entry| entry.damaged);
        for damaged in damaged {
            by.find(damaged.position).into_iter().for_each(|found| by.entries[found].damaged = true);
        }
        let own = by.sequence;
        let replaced = self.views.splice(run, [by]);
        replaced.map(|view| view.sequence).filter(|sequence| *sequence != own).collect()
    }

    /// Hides positions below; forgets the segments that hold nothing else and returns their sequence numbers, oldest first. The segment being written
    /// (`open`) stays.
    pub(super) fn trim(&mut self, below: u64, open: Option<u64>) -> Vec<u64> {
        self.trimmed = self.trimmed.max(below);
        let trimmed = self.trimmed;
        let gone = self.views.iter().take_while(|view| view.last < trimmed && Some(view.sequence) != open).count();
        self.views.drain(..gone).map(|view| view.sequence).collect()
    }
}

/// The part of a segment's bytes, one of so many, that must be gone for the segment to be written anew: so the log takes about a third more than what is on
/// offer at most, and for each byte that goes three are copied, or as many again where segments are joined.
const GONE_SHARE: u64 = 4;

/// An item of a mapped file.
struct HeldItem {
    sequence: u64,
    key: Key,
    entry: Entry,
    bytes: Bytes,
}

/// Drops what does not stay.
fn keep<T>(all: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    all.retain(|_| stays.next().is_none_or(|stays| *stays));
}

impl View {
    /// Of a segment of which nothing is lost.
    pub(super) fn new(sequence: u64, key: Key, last: u64, entries: Vec<Entry>, held: Held) -> Self {
        let live = entries.iter().map(Entry::stored_len).sum();
        Self { sequence, key, last, entries, live, has_lost: false, held }
    }

    fn find(&self, position: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&position, |entry| entry.position).ok()
    }

    /// Forgets these positions, which ascend.
    fn evict(&mut self, positions: &[u64]) {
        if positions.is_empty() {
            return;
        }
        let stays: Vec<bool> =
            self.entries.iter().map(|entry| positions.binary_search(&entry.position).is_err()).collect();
        keep(&mut self.entries, &stays);
        if let Held::Memory(items) = &mut self.held {
            keep(items, &stays);
        }
        self.live = self.entries.iter().map(Entry::stored_len).sum();
    }

    /// Bytes of what is still served, as they are stored.
    fn live_bytes(&self, trimmed: u64) -> u64 {
        if self.entries.first().is_none_or(|first| first.position >= trimmed) {
            return self.live;
        }
        let served = self.entries.iter().filter(|entry| entry.position >= trimmed);
        served.map(Entry::stored_len).sum()
    }

    /// Whether all that stands in it is served, and can be read from its file.
    fn is_whole(&self) -> bool {
        matches!(self.held, Held::Mapped(_)) && !self.has_lost && !self.entries.iter().any(|entry| entry.damaged)
    }

    fn is_sparse(&self, trimmed: u64) -> bool {
        let Held::Mapped(bytes) = &self.held else { return false };
        let stored = (bytes.len() as u64).saturating_sub(HEADER_LEN);
        let gone = stored.saturating_sub(self.live_bytes(trimmed));
        gone > 0 && gone * GONE_SHARE >= stored && self.is_whole()
    }

    fn read(&self, position: u64) -> Option<Bytes> {
        let found = self.find(position).filter(|found| !self.entries[*found].damaged)?;
        match &self.held {
            Held::Mapped(bytes) => {
                let entry = self.entries[found];
                Some(bytes.slice(entry.start..entry.end))
            }
            Held::Memory(items) => items.get(found).cloned(),
        }
    }
}
