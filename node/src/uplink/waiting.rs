//! Requests from below that wait for what an upstream was asked.

use std::collections::{BTreeMap, BTreeSet};

use topology::want::Want;

/// A document from below that is put aside until upstreams have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParkedId(pub(crate) u64);

/// By which kind of Request it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One that stands.
    Ask,
    /// One that is answered once.
    Refetch,
    /// The one for the list, in place of any want.
    List,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<(Kind, Want), BTreeSet<ParkedId>>);

impl Waiting {
    /// Answers whether nobody waited for it before.
    pub(super) fn add(&mut self, kind: Kind, want: &Want, id: ParkedId) -> bool {
        let ids = self.0.entry((kind, want.clone())).or_default();
        ids.insert(id);
        ids.len() == 1
    }

    pub(super) fn is_waited_for(&self, kind: Kind, want: &Want) -> bool {
        self.0.contains_key(&(kind, want.clone()))
    }

    /// Whoever waited for this: once for each want, so that each can count down.
    pub(super) fn settle(&mut self, kind: Kind, want: &Want) -> impl Iterator<Item = ParkedId> + use<> {
        self.0.remove(&(kind, want.clone())).into_iter().flatten()
    }

    /// Whoever waits for anything, once for each want.
    pub(super) fn all(&self) -> impl Iterator<Item = ParkedId> {
        self.0.values().flatten().copied()
    }

    /// One waits no more for this.
    pub(super) fn forget(&mut self, kind: Kind, want: &Want, id: ParkedId) {
        let key = (kind, want.clone());
        if let Some(ids) = self.0.get_mut(&key) {
            ids.remove(&id);
            if ids.is_empty() {
                self.0.remove(&key);
            }
        }
    }

    /// Nothing will be answered: whoever waits for anything.
    pub(super) fn settle_all(&mut self) -> Vec<ParkedId> {
        std::mem::take(&mut self.0).into_values().flatten().collect()
    }
}
