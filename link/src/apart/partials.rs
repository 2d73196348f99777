//! What came of items when links broke, kept for the next link.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::digest::Digest;

use super::ITEMS_MAX;
use crate::budget::Taken;
use crate::hello::{DOCUMENT_BYTES_MAX, Partial};

/// The beginnings of items, shared by the links that one client has one after the other: at most [`ITEMS_MAX`], and of bytes
/// as many as the longest document has. They are in memory only, where they count against the budget like any body; a
/// restart begins anew. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Partials(Arc<Mutex<VecDeque<Beginning>>>);

/// The beginning of an item.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// Of the whole item.
    pub(crate) digest: Digest,
    /// Its first bytes.
    pub(crate) bytes: Vec<u8>,
    /// Their part of the node's budget.
    pub(crate) room: Vec<Taken>,
}

impl Partials {
    /// What the next Hello says.
    pub fn offer(&self) -> Vec<Partial> {
        let offer = |kept: &Beginning| Partial { digest: kept.digest, offset: kept.bytes.len() as u64 };
        self.with(|kept| kept.iter().map(offer).collect())
    }

    /// Forgets everything: what is here is needed for something else.
    pub fn clear(&self) {
        self.with(VecDeque::clear);
    }

    /// Forgets one.
    pub fn forget(&self, digest: Digest) {
        drop(self.take(digest));
    }

    /// Keeps a beginning; the oldest have to go for it.
    pub(crate) fn keep(&self, beginning: Beginning) {
        if beginning.bytes.is_empty() {
            return;
        }
        self.with(|kept| {
            kept.retain(|other| other.digest != beginning.digest);
            kept.push_back(beginning);
            let too_many = |kept: &VecDeque<Beginning>| {
                kept.len() > ITEMS_MAX
                    || kept.iter().map(|kept| kept.bytes.len() as u64).sum::<u64>() > DOCUMENT_BYTES_MAX
            };
            while too_many(kept) {
                kept.pop_front();
            }
        });
    }

    /// The beginning of an item, which is kept no longer.
    pub(crate) fn take(&self, digest: Digest) -> Option<Beginning> {
        self.with(|kept| {
            let at = kept.iter().position(|kept| kept.digest == digest)?;
            kept.remove(at)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut VecDeque<Beginning>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(number: u8, bytes: usize) -> Beginning {
        Beginning { digest: Digest([number; 32]), bytes: vec![number; bytes], room: Vec::new() }
    }

    #[test]
    fn what_is_kept_is_bounded_and_taken_once() {
        let partials = Partials::default();
        (0..10).for_each(|number| partials.keep(beginning(number, 100)));
        partials.keep(beginning(9, 200));
        partials.keep(beginning(10, 0));
        let offered: Vec<_> = partials.offer().iter().map(|partial| (partial.digest.0[0], partial.offset)).collect();
        assert_eq!(offered, [(6, 100), (7, 100), (8, 100), (9, 200)]);
        assert_eq!(partials.take(Digest([9; 32])).map(|kept| kept.bytes.len()), Some(200));
        assert!(partials.take(Digest([9; 32])).is_none());
        partials.keep(beginning(11, DOCUMENT_BYTES_MAX as usize));
        assert_eq!(partials.offer().len(), 1, "the last one, however long");
        partials.clear();
        assert!(partials.offer().is_empty());
    }
}
