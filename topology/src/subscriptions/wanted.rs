//! What all clients want together, counted as subscriptions come and go.

use std::collections::{BTreeMap, BTreeSet};

use crate::interest::Interest;
use crate::want::Want;

/// Each want with the number of subscriptions that need it. A want that none needs is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    counts: BTreeMap<Want, u32>,
    /// Wants that are there and were not when changes were last taken, or the other way round.
    changed: BTreeSet<Want>,
}

impl Wanted {
    /// Adds one subscription to the interest.
    pub(super) fn insert(&mut self, interest: &Interest) {
        for want in Want::of_interest(interest) {
            match self.counts.get_mut(&want) {
                Some(count) => *count += 1,
                None => {
                    self.turn(&want);
                    self.counts.insert(want, 1);
                }
            }
        }
    }

    /// Takes one subscription to the interest out, which was inserted before.
    pub(super) fn remove(&mut self, interest: &Interest) {
        for want in Want::of_interest(interest) {
            match self.counts.get_mut(&want) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) => {
                    self.counts.remove(&want);
                    self.turn(&want);
                }
                None => {}
            }
        }
    }

    pub(super) fn counts(&self) -> &BTreeMap<Want, u32> {
        &self.counts
    }

    /// The wants that appeared or vanished since the last call; one that did both is as it was.
    pub(super) fn take_changes(&mut self) -> Vec<(Want, bool)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|want| (self.counts.contains_key(&want), want)).map(|(is_there, want)| (want, is_there)).collect()
    }

    fn turn(&mut self, want: &Want) {
        if !self.changed.remove(want) {
            self.changed.insert(want.clone());
        }
    }
}
