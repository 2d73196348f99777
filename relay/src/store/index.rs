//! Where the items are: what a [`Reader`] looks up.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{
    scan::Entry,
    segment::{self, Key},
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

    fn shared(&self) -> RwLockReadGuard<'_, Index> {
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
    fn give_up(&mut self, position: u64) -> bool {
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
        if let Some(View { sequence: open, last: open_last, entries, held: Held::Memory(items), .. }) =
            self.views.last_mut()
            && *open == sequence
        {
            entries.extend(new_entries);
            items.extend(new_items);
            *open_last = last;
        } else {
            self.views.push(View { sequence, key, last, entries: new_entries, held: Held::Memory(new_items) });
        }
    }

    /// From now on serves a segment from its mapped file; what was handed out before stays valid.
    pub(super) fn seal(&mut self, sequence: u64, mapped: Bytes) {
        if let Some(view) = self.views.iter_mut().find(|view| view.sequence == sequence) {
            view.held = Held::Mapped(mapped);
        }
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

/// An item of a mapped file.
struct HeldItem {
    sequence: u64,
    key: Key,
    entry: Entry,
    bytes: Bytes,
}

impl View {
    fn find(&self, position: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&position, |entry| entry.position).ok()
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
